"""The libraries of apps: which of them can be imported before an app is, and how an app still finds its own modules.

Only what lies among the environment's packages is imported, by whatever name it was found there. What an app brings
along, what is on PYTHONPATH or in a folder of the user's, is not: it may differ from message to message.

It runs in Flower's environment: standard library only.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import json
import os
import sys
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, SupportsIndex

from flowerbed_inside import packages

PRIVATE: dict[str, str] = {}
"""Nothing of Flower's is used."""

MOST_NAMES = 20_000


class NotImportedError(Exception):
    """Libraries cannot be imported before an app; the message says why."""


def read(text: bytes) -> list[str]:
    """Return the module names that somebody tells, of which nothing else is believed.

    Raises
    ------
    NotImportedError
        If it is something else.
    """
    try:
        told = json.loads(text)
    except ValueError:
        raise NotImportedError("their list cannot be read") from None
    if not isinstance(told, list) or len(told) > MOST_NAMES:
        raise NotImportedError("their list cannot be read")
    return [name for name in told if packages.is_name(name)]


def load(wanted: Collection[str], fits: Callable[[], str]) -> list[str]:
    """Import modules from the environment's packages, and return those that are there now.

    Parameters
    ----------
    wanted : collection of str
        Their names. Those that the packages do not have are left out.
    fits : callable
        Returns why the import has to stop, or nothing; called after each package.

    Raises
    ------
    NotImportedError
        If one cannot be imported, or brings in modules from elsewhere.
    """
    folders = list(packages.folders())
    ours = {*folders, *packages.standard_folders()}
    path = sys.path[:]
    sys.path[:] = [entry for entry in path if entry and _is_below(os.path.realpath(entry), ours)]
    before = dict(sys.modules)
    package, is_there = "", False
    try:
        for name in wanted:
            if name.partition(".")[0] != package:
                if why := fits():
                    raise NotImportedError(why)
                package = name.partition(".")[0]
                is_there = package in sys.modules or _find(package, folders)
            if is_there:
                _import(name)
        if why := fits():
            raise NotImportedError(why)
    finally:
        sys.path[:] = path
    there = set(map(id, before.values()))  # `multiprocessing` gives the main module another name
    new = [name for name, module in sys.modules.items() if name not in before and id(module) not in there]
    for name in new:
        file = packages.file_of(name)
        if file and not _is_below(os.path.realpath(file), ours):
            raise NotImportedError(f"{name} is from {file}, which is not the environment's")
    return new


def _is_below(path: str, folders: Collection[str]) -> bool:
    return any(path == folder or path.startswith(folder + os.sep) for folder in folders)


def _find(package: str, folders: list[str]) -> bool:
    with suppress(ImportError, ValueError):
        found = importlib.machinery.PathFinder.find_spec(package, folders)
        return found is not None and found.origin is not None  # a folder that is no package hides none
    return False


def _import(name: str) -> None:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:  # an app sees it only because of what it did before
        return
    except (Exception, SystemExit) as error:
        raise NotImportedError(f"{name}: {type(error).__name__}: {error}") from error


class ImportPath(list[str]):
    """The import path of an app's process: an app's module hides a library of that name, as it does for others.

    When a folder is put on the path, libraries that were imported before the app and have a namesake there are
    forgotten, so that an import of that name finds the folder's.

    Parameters
    ----------
    entries : iterable of str
        The import path.
    early : iterable of str
        The modules that were imported before an app is.
    """

    def __init__(self, entries: Iterable[str], early: Iterable[str]) -> None:
        super().__init__(entries)
        self._early = set(early)
        self._packages = {name.partition(".")[0] for name in self._early}

    def insert(self, index: SupportsIndex, entry: str) -> None:
        """Put a folder on the path."""
        super().insert(index, entry)
        self._forget(entry)

    def append(self, entry: str) -> None:
        """Put a folder at the end, where it hides nothing."""
        super().append(entry)

    def __setitem__(self, index: Any, value: Any) -> None:
        before = set(self)
        super().__setitem__(index, value)
        for entry in [value] if isinstance(value, str) else value:
            if entry not in before:
                self._forget(entry)

    def _forget(self, entry: str) -> None:
        folder = entry or os.getcwd()  # noqa: PTH109 - what an empty entry means
        if os.path.realpath(folder) in packages.folders():
            return
        hidden = {package for package in self._packages if _find(package, [folder])}
        for name in self._early:
            if name.partition(".")[0] in hidden:
                sys.modules.pop(name, None)


def known_from(file: Path) -> list[str]:
    """Return the names in a file that the runtime has written; none if it cannot be read."""
    try:
        return read(file.read_bytes())
    except (OSError, NotImportedError):
        return []
