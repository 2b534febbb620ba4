"""Files that only their owner may read: written whole or not at all, and refused when others can read them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from flowerbed.errors import TrustError

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700

_HALF = ".half-"


def make_folder(folder: Path) -> None:
    """Make a folder that only its owner may enter, or see that it is one.

    Raises
    ------
    TrustError
        If it cannot be made, others may enter it, or it belongs to somebody else.
    """
    try:
        folder.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
        _refuse_shared(folder.lstat(), folder, PRIVATE_FOLDER)
    except OSError as error:
        raise TrustError(f"the folder for keys cannot be made: {error.strerror}", where=str(folder)) from error


def write(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole, with the rights it is to have, or as it was before.

    Raises
    ------
    TrustError
        If it cannot be written.
    """
    beside = path.with_name(f"{_HALF}{path.name}.{os.getpid()}")
    try:
        beside.unlink(missing_ok=True)  # left by a process of this number that was killed
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, PRIVATE_FILE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise TrustError(f"cannot be written: {error.strerror}", where=str(path)) from error


def clear_away_halves(folder: Path) -> None:
    """Remove what processes that were killed while they wrote have left; only while nobody else can be writing."""
    for half in folder.glob(f"{_HALF}*"):
        half.unlink(missing_ok=True)


def read(path: Path) -> bytes | None:
    """Return what a private file holds; None if there is none.

    Raises
    ------
    TrustError
        If others may read it, it belongs to somebody else, or it is no plain file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise TrustError(f"cannot be read: {error.strerror}", where=str(path)) from error
    with os.fdopen(descriptor, "rb") as file:
        seen = os.fstat(file.fileno())
        if not stat.S_ISREG(seen.st_mode):
            raise TrustError("is no plain file", where=str(path), hint="Move it away; `flowerbed up` makes a new one.")
        _refuse_shared(seen, path, PRIVATE_FILE)
        return file.read()


def _refuse_shared(seen: os.stat_result, path: Path, wanted: int) -> None:
    if seen.st_uid != os.geteuid():
        raise TrustError(
            f"belongs to the user with the number {seen.st_uid}, and this is the one with {os.geteuid()}",
            where=str(path),
            hint="Run this as that user, or move it away: what is missing is made anew.",
        )
    if seen.st_mode & 0o077:
        raise TrustError(
            f"can be read by others: its mode is {stat.S_IMODE(seen.st_mode):04o}",
            where=str(path),
            hint=f"Whoever may have read it knows the key. If nobody has: chmod {wanted:o} {path}",
        )
