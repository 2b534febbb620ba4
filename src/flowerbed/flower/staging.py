"""A copy of an app's folder from which a FAB is built: nothing of ours in it, and nothing of the user's at risk.

Only what a FAB can hold is staged, so that data sets and environments beside the app cost nothing.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from flowerbed.errors import AppError

SUFFIXES = frozenset({".py", ".toml", ".md", ".yaml", ".yml", ".json", ".jsonl"})
"""Files of these kinds are what the proven releases pack, beside LICENSE; see FAB_INCLUDE_PATTERNS in each."""

NAMES = frozenset({"LICENSE", ".gitignore"})
"""Files that are staged whatever their suffix; .gitignore because Flower leaves out what it names."""

SKIPPED_FOLDERS = frozenset({".git", ".flowerbed", ".venv", "__pycache__", "node_modules"})
SKIPPED_AT_TOP = frozenset({"federation.yaml", "federation.lock"})

MAX_FILE_BYTES = 20 * 2**20
"""Larger files are left out: Flower limits the whole FAB, compressed, to 10 MB."""

MAX_FILES = 20_000
MAX_COPIED_BYTES = 500 * 2**20


@dataclass
class Staged:
    """What was staged.

    Parameters
    ----------
    folder : Path
        Where.
    files : int
        How many files.
    too_large : list of str
        Files that a FAB might have held, left out for their size; relative to the app's folder.
    """

    folder: Path
    files: int = 0
    too_large: list[str] = field(default_factory=list)


def stage(source: Path, target: Path) -> Staged:
    """Stage the app in `source` into `target`: hard links where the file system allows, copies elsewhere.

    Symbolic links are kept as links where they stay within the app's folder (releases differ in whether they
    pack them), and left out where they leave it.

    Parameters
    ----------
    source : Path
        The app's folder. It may hold `target`, below a folder that is skipped.
    target : Path
        A folder that does not exist yet, or is empty.

    Raises
    ------
    AppError
        If `source` is no folder, cannot be read, or is far larger than an app.
    """
    if not source.is_dir():
        what = "is not a folder" if source.exists() else "does not exist"
        raise AppError(
            f"the app's folder {what}", where=str(source), hint="Name a folder with a Flower App's pyproject.toml."
        )
    root = source.resolve()
    target.mkdir(parents=True, exist_ok=True)
    staged = Staged(target)
    copied = 0
    try:
        for folder, folders, names in os.walk(root, onerror=_raise):
            here = Path(folder)
            folders[:] = sorted(
                name for name in folders if name not in SKIPPED_FOLDERS and (here / name) != target.resolve()
            )
            for name in [*sorted(names), *(name for name in folders if (here / name).is_symlink())]:
                path = here / name
                if here == root and name in SKIPPED_AT_TOP:
                    continue
                relative = path.relative_to(root)
                if path.is_symlink():
                    _stage_link(path, root, target / relative)
                    continue
                if (path.suffix not in SUFFIXES and name not in NAMES) or not path.is_file():
                    continue
                size = path.stat().st_size
                if size > MAX_FILE_BYTES:
                    staged.too_large.append(str(relative))
                    continue
                copied += 0 if _stage_file(path, target / relative) else size
                staged.files += 1
                if staged.files > MAX_FILES or copied > MAX_COPIED_BYTES:
                    raise AppError(
                        f"the app's folder holds more than an app: over {MAX_FILES:,} files that Flower would pack,"
                        f" or {MAX_COPIED_BYTES // 2**20:,} MB of them",
                        where=str(source),
                        hint="Keep data sets outside the app's folder; Flower limits a packed app to 10 MB.",
                    )
    except PermissionError as error:
        raise AppError("the app's folder cannot be read", where=str(error.filename or source)) from error
    return staged


def _raise(error: OSError) -> None:
    raise error


def _stage_file(path: Path, target: Path) -> bool:
    """Stage a file; return whether a hard link was enough."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.hardlink_to(path)
    except OSError:  # another file system, or one without hard links, or a file of another user
        shutil.copyfile(path, target)
        return False
    return True


def _stage_link(path: Path, root: Path, target: Path) -> None:
    pointed = Path(os.path.realpath(path))  # a loop is no error, and does not exist
    if not pointed.exists() or not pointed.is_relative_to(root):
        return
    if any(part in SKIPPED_FOLDERS for part in pointed.relative_to(root).parts):
        return
    if pointed.is_file() and pointed.suffix not in SUFFIXES and pointed.name not in NAMES:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(os.path.relpath(pointed, path.parent.resolve()))
