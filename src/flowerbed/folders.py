"""A folder of our files that is written again and again, and in which nothing of anybody else's is lost.

A marker in the folder lists each file that was written and a hash of its content. What it lists and nobody has changed
is replaced, or deleted once it is no longer made; a file that somebody changed stops everything before anything is
written. Files that are not listed are left alone, and a folder that holds files and no marker is not written into.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from flowerbed.errors import UsageError

Content = str | Path
"""A text, or a file whose content and mode are taken."""

Hashes = dict[str, set[str]]
"""For each path the hashes of the contents that we wrote, or were about to write."""


@dataclass(frozen=True)
class OwnFolder:
    """A kind of folder that is ours.

    Parameters
    ----------
    marker : str
        What its marker is called; another kind has another.
    command : str
        Who writes it, such as ``flowerbed render``.
    option : str
        How the user names it.
    instead : str
        What to do instead of changing a file in it by hand.
    """

    marker: str
    command: str
    option: str
    instead: str

    def write(
        self, folder: Path, files: Mapping[str, Content], *, only_once: Callable[[str], bool] = lambda _: False
    ) -> list[Path]:
        """Make the files of a folder those that are given.

        Parameters
        ----------
        folder : Path
            Where; made if it is not there.
        files : mapping of str to str or Path
            Contents by path.
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
        known = self._read(folder)
        kept = {path for path in files if only_once(path) and (folder / path).exists()}
        ours = {path: content for path, content in files.items() if path not in kept}
        gone = [path for path in known if path not in files and not only_once(path) and (folder / path).exists()]
        self._refuse_changed(folder, known, [*ours, *gone])
        hashes = {path: _hash(content) for path, content in ours.items()}
        touched = [
            folder / path
            for path, content in ours.items()
            if _current(folder / path) != hashes[path] or _executable(folder / path) != _executable(content)
        ]
        touched += [folder / path for path in gone]
        listed = {path: value for path, value in hashes.items() if not only_once(path)}
        if touched or known != {path: {value} for path, value in listed.items()}:
            folder.mkdir(parents=True, exist_ok=True)
            both = {path: known.get(path, set()) | {listed.get(path, "")} - {""} for path in {**known, **listed}}
            # The marker first, so that what a kill leaves half done can be gone on with.
            self._replace(folder / self.marker, self._list(both))
            for path, content in ours.items():
                if folder / path in touched:
                    (folder / path).parent.mkdir(parents=True, exist_ok=True)
                    self._replace(folder / path, content)
            for path in gone:
                _remove(folder, folder / path)
            self._replace(folder / self.marker, self._list({path: {value} for path, value in listed.items()}))
            for left in folder.rglob(f"{self.marker}.*"):  # by one that was killed
                left.unlink()
        return touched

    def _read(self, folder: Path) -> Hashes:
        try:
            lines = (folder / self.marker).read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            if folder.exists() and any(not path.name.startswith(self.marker) for path in folder.iterdir()):
                raise UsageError(
                    "holds files that flowerbed did not write, and none that it did",
                    where=str(folder),
                    hint=f"Name a new or an empty folder with {self.option}.",
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

    def _refuse_changed(self, folder: Path, known: Hashes, paths: list[str]) -> None:
        changed = [path for path in paths if (value := _current(folder / path)) and value not in known.get(path, set())]
        if changed:
            raise UsageError(
                f"{', '.join(sorted(changed))} {'was' if len(changed) == 1 else 'were'} changed by hand",
                where=str(folder),
                hint=f"Nothing was written. {self.instead}, and delete the file here.",
            )

    def _list(self, hashes: Hashes) -> str:
        head = f"# Written by {self.command}: the files that it replaces here, as `sha256sum --check` reads them.\n"
        return head + "".join(f"{value}  {path}\n" for path in sorted(hashes) for value in sorted(hashes[path]))

    def _replace(self, path: Path, content: Content) -> None:
        beside = path.with_name(f"{self.marker}.{os.getpid()}")
        if isinstance(content, Path):
            shutil.copyfile(content, beside)
            beside.chmod(0o755 if _executable(content) else 0o644)
        else:
            beside.write_bytes(content.encode())
        beside.replace(path)


def _remove(folder: Path, file: Path) -> None:
    """Remove a file, and the folders that are empty then."""
    file.unlink()
    for above in file.parents:
        if above == folder or any(above.iterdir()):
            break
        above.rmdir()


def _executable(content: Content) -> bool:
    return isinstance(content, Path) and bool(content.stat().st_mode & 0o100)


def _current(path: Path) -> str:
    try:
        return _hash(path)
    except FileNotFoundError:
        return ""


def _hash(content: Content) -> str:
    if isinstance(content, str):
        return hashlib.sha256(content.encode()).hexdigest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
