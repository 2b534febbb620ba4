"""Flower's environments: one per exact release, Python and set of app dependencies; shared by federations.

An environment is asked for (`flowerbed.environments.asking.request`; its key is known without solving
anything), made sure of (`ensure`: a few milliseconds if it is there, else built beside and renamed into place), held
while it is used (`hold`), listed and removed (`flowerbed.environments.pruning`). The app's own code is not in it: that
travels in the FAB.

In an environment's folder lie the virtual environment itself, ``flowerbed-environment.json`` (what was
asked for and what came of it), ``last-used``, ``.in-use`` (locked by whoever runs from it) and
``flowerbed/bin`` (our launchers of Flower's programs, for the front of PATH).
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from flowerbed.environments.cache import Progress, cache_root, locked, silent, writable
from flowerbed.environments.model import (
    BUILDING,
    FORMAT,
    IN_USE,
    LAST_USED,
    MANIFEST,
    Environment,
    EnvironmentRequest,
)
from flowerbed.errors import EnvironmentFailed


def environments_root() -> Path:
    """Return the folder in which all environments lie."""
    return cache_root() / "environments"


def ensure(wanted: EnvironmentRequest, progress: Progress = silent) -> Environment:
    """Return the environment, building it first if it is not there.

    Of several processes that ask for the same one, one builds and the others wait.

    Raises
    ------
    EnvironmentFailed
        If it cannot be built, with uv's reason; nothing half done is left where it would be used.
    """
    root = environments_root()
    place = root / wanted.name
    if found := _usable(place, wanted.key):
        return found

    def waiting() -> None:
        progress(f"another process prepares Flower {wanted.release} for the same app; waiting for it")

    with writable(root), locked(lock_of(place), waiting=waiting):
        if found := _usable(place, wanted.key):
            return found
        # Whoever holds the lock is the only builder: every other build's folder was left by a killed one.
        for left in root.glob(f"{wanted.name}{BUILDING}*"):
            shutil.rmtree(left, ignore_errors=True)
        beside = beside_of(place)
        started = time.monotonic()
        from flowerbed.environments.building import build  # never needed for one that is there

        try:
            build(wanted, beside, progress)
            if place.exists():  # broken: its Python was removed, or files of it were
                place.rename(beside_of(place))
            beside.rename(place)
            _sync(root)
        finally:
            for left in root.glob(f"{wanted.name}{BUILDING}*"):
                shutil.rmtree(left, ignore_errors=True)
        progress(f"Flower {wanted.release} is ready ({time.monotonic() - started:.0f} s)")
        if found := _usable(place, wanted.key):
            return found
    raise EnvironmentFailed("the environment vanished right after it was built", where=str(place))


def hold(environment: Path) -> BinaryIO:
    """Mark an environment as in use until the returned file is closed or this process ends.

    Parameters
    ----------
    environment : Path
        Its folder.

    Raises
    ------
    EnvironmentFailed
        If it was removed in the meantime.
    """
    path = environment / IN_USE
    try:
        file = path.open("rb")
        fcntl.flock(file, fcntl.LOCK_SH)
        if path.stat().st_ino == os.fstat(file.fileno()).st_ino:
            return file
        file.close()
    except FileNotFoundError:
        pass
    raise EnvironmentFailed(
        "the environment was removed while it was wanted", where=str(environment), hint="Run the command again."
    )


def load(path: Path) -> Environment | None:
    """Read an environment's manifest; None if it is not there, broken, of another format, or without its Python."""
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        if manifest["format"] != FORMAT or not os.access(path / "bin" / "python", os.X_OK):
            return None
        return Environment(
            path=path,
            release=manifest["flwr"],
            key=manifest["key"],
            python_version=manifest["python"],
            packages=tuple(manifest["packages"]),
            requirements=tuple(manifest["asked"]["requirements"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _usable(path: Path, key: str) -> Environment | None:
    found = load(path)
    if found is None or found.key != key:
        return None
    with suppress(OSError):  # a cache that was made read-only still serves
        os.utime(path / LAST_USED)
    return found


def lock_of(path: Path) -> Path:
    """Return the lock of an environment, or of a build of it."""
    return path.parent / ".locks" / f"{path.name.partition(BUILDING)[0]}.lock"


def beside_of(path: Path) -> Path:
    """Return a new name beside an environment: for a build, or for what is to be deleted."""
    return path.with_name(f"{path.name}{BUILDING}{os.getpid()}-{uuid.uuid4().hex[:8]}")


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
