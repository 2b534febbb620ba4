"""A folder of rendered files that is written again and again, and in which nothing of anybody else's is lost.

A marker in the folder lists each file that was written and a hash of its text. What it lists and nobody has changed is
replaced, or deleted once it is no longer rendered; a file that somebody changed stops everything before anything is
written. Files that are not listed are left alone, and a folder that holds files and no marker is not written into.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from flowerbed.errors import UsageError

MARKER = ".flowerbed-rendered"
_HEAD = "# Written by flowerbed render: the files that it replaces here, as `sha256sum --check` reads them.\n"

Hashes = dict[str, set[str]]
"""For each path the hashes of the texts that we wrote, or were about to write."""


def write(folder: Path, files: dict[str, str], *, only_once: Callable[[str], bool] = lambda _: False) -> list[Path]:
    """Make the files of a folder those that were rendered.

    Parameters
    ----------
    folder : Path
        Where; made if it is not there.
    files : dict of str to str
        Texts by path.
    only_once : callable
        Tells of a path whether its file belongs to the user once it is there.

    Returns
    -------
    list of Path
        What was written or deleted; empty if everything was as it is.

    Raises
    ------
    UsageError
        If the folder is somebody else's, or a file in it was changed by hand.
    """
    known = _read(folder)
    kept = {path for path in files if only_once(path) and (folder / path).exists()}
    ours = {path: text for path, text in files.items() if path not in kept}
    gone = [path for path in known if path not in files and not only_once(path) and (folder / path).exists()]
    _refuse_changed(folder, known, [*ours, *gone])
    hashes = {path: _hash(text) for path, text in ours.items()}
    touched = [folder / path for path in ours if _current(folder / path) != hashes[path]]
    touched += [folder / path for path in gone]
    listed = {path: value for path, value in hashes.items() if not only_once(path)}
    if touched or known != {path: {value} for path, value in listed.items()}:
        folder.mkdir(parents=True, exist_ok=True)
        both = {path: known.get(path, set()) | {listed.get(path, "")} - {""} for path in {**known, **listed}}
        _replace(folder / MARKER, _marker(both))  # first, so that what a kill leaves half done can be gone on with
        for path, text in ours.items():
            if folder / path in touched:
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                _replace(folder / path, text)
        for path in gone:
            (folder / path).unlink()
        _replace(folder / MARKER, _marker({path: {value} for path, value in listed.items()}))
        for left in folder.rglob(f"{MARKER}.*"):  # by one that was killed
            left.unlink()
    return touched


def _read(folder: Path) -> Hashes:
    try:
        lines = (folder / MARKER).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        if folder.exists() and any(not path.name.startswith(MARKER) for path in folder.iterdir()):
            raise UsageError(
                "holds files that flowerbed did not write, and none that it did",
                where=str(folder),
                hint="Name a new or an empty folder with --output.",
            ) from None
        return {}
    except NotADirectoryError:
        raise UsageError("is a file, not a folder", where=str(folder)) from None
    found: Hashes = {}
    for line in lines:
        value, _, path = line.partition("  ")
        if path and not line.startswith("#"):
            found.setdefault(path, set()).add(value)
    return found


def _refuse_changed(folder: Path, known: Hashes, paths: list[str]) -> None:
    changed = [path for path in paths if (value := _current(folder / path)) and value not in known.get(path, set())]
    if changed:
        raise UsageError(
            f"{', '.join(sorted(changed))} {'was' if len(changed) == 1 else 'were'} changed by hand",
            where=str(folder),
            hint="Nothing was written. Keep changes in an overlay or in values of your own, and delete the file here.",
        )


def _current(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return ""


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _marker(hashes: Hashes) -> str:
    lines = (f"{value}  {path}\n" for path in sorted(hashes) for value in sorted(hashes[path]))
    return _HEAD + "".join(lines)


def _replace(path: Path, text: str) -> None:
    beside = path.with_name(f"{MARKER}.{os.getpid()}")
    beside.write_bytes(text.encode())
    beside.replace(path)
