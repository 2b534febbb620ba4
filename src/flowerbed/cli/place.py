"""From what a user names on the command line to the federation that is meant."""

from __future__ import annotations

from pathlib import Path

from flowerbed.errors import UsageError
from flowerbed.local.layout import StateFolder
from flowerbed.local.runtime import LocalRuntime


def runtime_at(place: Path) -> LocalRuntime:
    """Return the local runtime of the federation file, or folder, that a user named.

    Raises
    ------
    UsageError
        If there is nothing of that name.
    """
    if not place.exists():
        raise UsageError("there is no such file or folder", where=str(place), hint="Name it with --file.")
    return LocalRuntime(StateFolder.beside(place))
