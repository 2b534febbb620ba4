"""What of images lies in the cache, and how it gets smaller."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from flowerbed.environments.cache import size_of, writable
from flowerbed.errors import ImageFailed
from flowerbed.image import store

KINDS = {
    "bases": "what a base holds",
    "roots": "a base's files",
    "packages": "an app's packages",
    "blobs": "a layer or a document",
}
"""The folders of the cache, and what an entry of each is."""


@dataclass(frozen=True)
class Kept:
    """An entry of the cache.

    Parameters
    ----------
    path : Path
        The file or folder.
    holds : str
        What it is.
    size : int
        Bytes.
    last_used : float
        Seconds since the epoch.
    """

    path: Path
    holds: str
    size: int
    last_used: float


def list_kept() -> list[Kept]:
    """Return everything that `flowerbed build` keeps, last used first."""
    return sorted(_entries(), key=lambda one: -one.last_used)


def prune(*, older_than: float, everything: bool = False, dry_run: bool = False) -> list[Kept]:
    """Remove what a build would fetch or make again.

    Parameters
    ----------
    older_than : float
        Remove what no build used for so many seconds.
    everything : bool
        Remove all.
    dry_run : bool
        Remove nothing.

    Returns
    -------
    list of Kept
        What was removed, or would be.

    Raises
    ------
    ImageFailed
        If an image is being built.
    EnvironmentFailed
        If the cache cannot be written.
    """
    now = time.time()
    with writable(store.root()), store.alone() as alone:
        if not alone:
            raise ImageFailed(
                "an image is being built with what lies there", where=str(store.root()), hint="Wait until it is done."
            )
        wanted = [one for one in list_kept() if everything or now - one.last_used >= older_than]
        if not dry_run:
            for path in [*(one.path for one in wanted), *_left_behind()]:
                _remove(path)
    return wanted


def _entries() -> Iterator[Kept]:
    for kind, holds in KINDS.items():
        folder = store.root() / kind
        for path in folder.iterdir() if folder.is_dir() else ():
            if not path.name.startswith("."):
                yield Kept(path, holds, size_of(path), path.stat().st_mtime)


def _left_behind() -> Iterator[Path]:
    """Yield what builds that were killed had begun."""
    for kind in KINDS:
        folder = store.root() / kind
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.name.startswith(".") and path.name != store.LOCKS:
                yield path


def _remove(path: Path) -> None:
    if path.is_dir():
        gone = path.with_name(f".{path.name}-gone")
        path.rename(gone)  # half of a folder is never taken for a whole one
        shutil.rmtree(gone)
    else:
        path.unlink(missing_ok=True)
