"""The cache folder, shared by all federations of a user, and the locks in it."""

from __future__ import annotations

import fcntl
import math
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from flowerbed.errors import EnvironmentFailed

Progress = Callable[[str], None]
"""Is told, in one short line, what happens right now."""


def silent(_: str) -> None:
    """Take a line of progress and show it to nobody."""


def cache_root(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the cache folder: ``$FLOWERBED_CACHE_DIR``, else ``flowerbed`` in the user's cache folder.

    Raises
    ------
    EnvironmentFailed
        If the user has no home.
    """
    if own := environ.get("FLOWERBED_CACHE_DIR"):
        return Path(own).expanduser().resolve()
    shared = environ.get("XDG_CACHE_HOME")
    if shared and Path(shared).is_absolute():  # the XDG specification says that a relative path is to be ignored
        return Path(shared) / "flowerbed"
    try:
        return Path.home() / ".cache" / "flowerbed"
    except RuntimeError:
        raise EnvironmentFailed(
            "there is no home folder for the cache of Flower's environments",
            hint="Set HOME, or FLOWERBED_CACHE_DIR to a folder that can be written.",
        ) from None


@contextmanager
def writable(folder: Path) -> Iterator[None]:
    """Turn the file system's refusals into an error that says which folder and what to do.

    Raises
    ------
    EnvironmentFailed
        In place of an `OSError`.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise EnvironmentFailed(
            f"the cache of Flower's environments cannot be used: {error.strerror or error}",
            where=str(error.filename or folder),
            hint="Free some space or make the folder writable, or set FLOWERBED_CACHE_DIR to another folder.",
        ) from error


@contextmanager
def locked(path: Path, *, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold an exclusive lock, which the kernel takes back when its holder dies.

    Children do not inherit it: a helper that outlives a build (of git, of a compiler) would keep it for ever.
    Lock files are never deleted: a deleted one could be held by one process while another locks its successor.

    Parameters
    ----------
    path : Path
        The lock file; it is made if need be.
    waiting : callable
        Called once if someone else holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        if not try_lock(file.fileno()):
            waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def try_lock(descriptor: int) -> bool:
    """Take an exclusive lock if nobody holds it, and tell whether it worked."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def scratch() -> Iterator[Path]:
    """Make a folder for work in between; a killed process leaves it to `flowerbed.environments.pruning.prune`."""
    parent = cache_root() / "scratch"
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files below a folder; what goes away meanwhile does not count."""
    return size_within(path, math.inf)[0]


def size_within(path: Path, seconds: float) -> tuple[int, bool]:
    """Return the bytes below a folder that are counted within a time, and whether those are all."""
    if not path.is_dir():
        return (path.stat().st_size if path.exists() else 0), True
    deadline = time.monotonic() + seconds
    total = 0
    for folder, _, files in os.walk(path):
        if time.monotonic() > deadline:
            return total, False
        for name in files:
            with suppress(FileNotFoundError):
                total += os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118 - tens of thousands of files
    return total, True


def write_durably(path: Path, text: str) -> None:
    """Replace a file so that a crash leaves either the old content or the new one."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with beside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.rename(path)
