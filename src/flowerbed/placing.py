"""Putting files that were fetched among those of a user, of which none is lost."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from flowerbed.errors import UsageError

PIECE_BYTES = 4 * 2**20

Wanted = tuple[str, int, float]
"""A file's name, its bytes, and when it changed last (Unix time)."""


def refuse_other_files(into: Path, files: Iterable[Wanted]) -> None:
    """Check that no file would be replaced in a folder but by itself.

    Raises
    ------
    UsageError
        If one would.
    """
    for name, size, changed in files:
        there = into / name
        if there.is_dir():
            raise UsageError("there is a folder where a file would be put", where=str(there), hint=_ELSEWHERE)
        if there.exists() and not _is(there, size, changed):
            raise UsageError(
                "there is another file of this name, which is not replaced", where=str(there), hint=_ELSEWHERE
            )


_ELSEWHERE = "Name another folder with --into, or move it away. Nothing was fetched."


def _is(there: Path, size: int, changed: float) -> bool:
    status = there.stat()
    return status.st_size == size and abs(status.st_mtime - changed) < 1.0


@contextmanager
def beside(into: Path) -> Iterator[Path]:
    """Give a folder for what is on its way, on the disk where it is to go; it is removed in the end."""
    into.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=into, prefix=".flowerbed-") as folder:
        yield Path(folder)


def move(fresh: Path, into: Path) -> None:
    """Move all files of a folder to the same places in another."""
    for path in sorted(fresh.rglob("*")):
        if not path.is_dir():
            target = into / path.relative_to(fresh)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)


def copy(source: Path, target: Path, progress: Callable[[int], None]) -> None:
    """Copy a file with its time; tell how many bytes were copied, again and again."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as incoming, target.open("wb") as outgoing:
        while piece := incoming.read(PIECE_BYTES):
            outgoing.write(piece)
            progress(len(piece))
    status = source.stat()
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
    shutil.copymode(source, target)
