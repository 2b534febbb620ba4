"""From what a user names on the command line to the federation that is meant."""

from __future__ import annotations

import os
from pathlib import Path

from flowerbed.errors import NotRunning, StateError, UsageError
from flowerbed.local.layout import StateFolder
from flowerbed.local.runtime import LocalRuntime
from flowerbed.spec.names import FEDERATION_FILE


def runtime_at(place: Path) -> LocalRuntime:
    """Return the local runtime of the federation file, or folder, that a user named.

    Raises
    ------
    UsageError
        If there is nothing of that name.
    StateError
        If the federation there is another user's.
    """
    if not place.exists():
        raise UsageError("there is no such file or folder", where=str(place), hint="Name it with --file.")
    folder = StateFolder.beside(place)
    if folder.root.exists() and not os.access(folder.root, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
        raise StateError(
            f"the federation here is {folder.root.owner()}'s, and others cannot look at it",
            where=str(folder.root),
            hint="Copy the app into a folder of your own to have a federation of your own.",
        )
    return LocalRuntime(folder)


def federation_at(place: Path) -> LocalRuntime:
    """Return the local runtime of the federation that a user named, which has to be one: its file, an app, or a state.

    Raises
    ------
    UsageError
        If there is nothing of that name.
    NotRunning
        If there is nothing of a federation in the folder.
    """
    runtime = runtime_at(place)
    if not is_federation(place, runtime):
        raise NotRunning(
            f"there is no federation here: no {FEDERATION_FILE}, no Flower App, and nothing of an earlier one",
            where=str(place.resolve()),
            hint="Name the folder with --file; `flowerbed new my-app` writes an app with a federation.",
        )
    return runtime


def is_federation(place: Path, runtime: LocalRuntime) -> bool:
    """Tell whether a place has a federation file, an app, the state of a federation, or processes of one."""
    names = (FEDERATION_FILE, "pyproject.toml")
    return place.is_file() or any((place / name).exists() for name in names) or runtime.is_there()
