"""What lies in the cache of environments, and how it gets smaller."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from flowerbed.environments.cache import cache_root, size_of, try_lock
from flowerbed.environments.environment import beside_of, environments_root, load, lock_of
from flowerbed.environments.model import BUILDING, IN_USE, LAST_USED, Environment


@dataclass(frozen=True)
class Listed:
    """A folder of the cache, as `list_environments` and `prune` tell of it.

    Parameters
    ----------
    path : Path
        The folder.
    environment : Environment or None
        None if it is broken, of another format, or left behind by a killed build.
    size : int
        Bytes of its files; those that are hard links into uv's cache are counted here too.
    last_used : float
        Seconds since the epoch.
    in_use : bool
        Whether a federation runs from it, or someone builds it.
    """

    path: Path
    environment: Environment | None
    size: int
    last_used: float
    in_use: bool


def list_environments() -> list[Listed]:
    """Return everything in the cache's folder of environments, last used first."""
    root = environments_root()
    if not root.is_dir():
        return []
    folders = [Path(entry.path) for entry in os.scandir(root) if entry.is_dir() and not entry.name.startswith(".")]
    return sorted((_listed(folder) for folder in folders), key=lambda item: -item.last_used)


def prune(*, older_than: float | None = None, everything: bool = False, dry_run: bool = False) -> list[Listed]:
    """Remove environments; never one that is in use.

    What killed builds left, and what is broken, always goes.

    Parameters
    ----------
    older_than : float or None
        Remove those that nobody used for so many seconds.
    everything : bool
        Remove all.
    dry_run : bool
        Remove nothing.

    Returns
    -------
    list of Listed
        What was removed, or would be.
    """
    now = time.time()
    removed = []
    for item in list_environments():
        old = older_than is not None and now - item.last_used >= older_than
        if item.in_use or not (everything or old or item.environment is None):
            continue
        if dry_run or _remove(item.path):
            removed.append(item)
    if not dry_run:
        _clear_scratch(now)
    return removed


def _remove(path: Path) -> bool:
    """Remove a folder unless someone builds or uses it."""
    lock_path = lock_of(path)
    lock_path.parent.mkdir(parents=True, exist_ok=True)
    with lock_path.open("ab") as lock:
        if not try_lock(lock.fileno()):
            return False
        if BUILDING in path.name:
            shutil.rmtree(path, ignore_errors=True)
            return not path.exists()
        try:
            in_use = (path / IN_USE).open("rb")
        except FileNotFoundError:
            in_use = None
        try:
            if in_use is not None and not try_lock(in_use.fileno()):
                return False
            gone = beside_of(path)
            path.rename(gone)  # at once gone for everyone else, however long the deleting takes
        except FileNotFoundError:
            return False
        finally:
            if in_use is not None:
                in_use.close()
        shutil.rmtree(gone, ignore_errors=True)
        return True


def _clear_scratch(now: float, *, day: float = 86400) -> None:
    with suppress(FileNotFoundError):
        for entry in os.scandir(cache_root() / "scratch"):
            if now - entry.stat().st_mtime > day:
                shutil.rmtree(entry.path, ignore_errors=True)


def _listed(path: Path) -> Listed:
    building = BUILDING in path.name
    environment = None if building else load(path)
    marker = lock_of(path) if building else path / IN_USE
    in_use = False
    with suppress(FileNotFoundError), marker.open("rb") as file:
        in_use = not try_lock(file.fileno())
    try:
        last_used = (path / LAST_USED).stat().st_mtime
    except FileNotFoundError:
        last_used = path.stat().st_mtime if path.exists() else 0.0
    return Listed(path, environment, size_of(path) if path.is_dir() else 0, last_used, in_use)
