"""What of images lies in Flowerbed's cache: blobs, what is known of bases, their files, and layers that were made.

Everything is named for what it holds or for a hash of what it was made of, and comes into its place by being renamed,
so whoever is killed leaves nothing that would be used.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from flowerbed.environments.cache import cache_root, locked, try_lock, writable

LOCKS = ".locks"
"""The folder of locks beside what is made."""


def root() -> Path:
    """Return the folder of all of it."""
    return cache_root() / "images"


def blob(digest: str) -> Path:
    """Return where a blob lies, or would."""
    return root() / "blobs" / digest.replace(":", "-")


def base_note(digest: str) -> Path:
    """Return where is written what a base holds: the digest is that of its manifest."""
    return root() / "bases" / f"{digest.replace(':', '-')}.json"


def base_files(digest: str) -> Path:
    """Return where the files of a base lie unpacked."""
    return root() / "roots" / digest.replace(":", "-")


def packages(key: str) -> Path:
    """Return where a layer of packages lies: its blob, its files, and a note of what it is."""
    return root() / "packages" / key


@contextmanager
def in_use() -> Iterator[None]:
    """Keep others from removing anything while an image is built; several can be built at once."""
    with _lock_file() as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


@contextmanager
def alone() -> Iterator[bool]:
    """Tell whether nothing of it is in use, and keep it so meanwhile."""
    with _lock_file() as file:
        yield try_lock(file.fileno())


def _lock_file() -> IO[bytes]:
    with writable(root()):
        return (root() / ".in-use").open("ab")


def mark_used(place: Path) -> None:
    """Let `flowerbed.image.pruning` know that something was of use."""
    with suppress(OSError):
        os.utime(place)


@contextmanager
def filling(place: Path) -> Iterator[Path | None]:
    """Give a folder that becomes ``place`` once it is left without an error; None if it has become so meanwhile.

    Of several processes that want the same, one makes it and the others wait.
    """
    if place.exists():
        yield None
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    with locked(place.parent / LOCKS / f"{place.name}.lock", waiting=lambda: None):
        if place.exists():
            yield None
            return
        for left in place.parent.glob(f".{place.name}-*"):
            shutil.rmtree(left, ignore_errors=True)  # of one that was killed: nobody else works while the lock is ours
        beside = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
        beside.chmod(0o755)
        try:
            yield beside
            beside.rename(place)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
