"""The packages of Flower's environment, and which loaded modules are from there.

It runs in Flower's environment: standard library only.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterable
from typing import Any

_LONGEST_NAME = 200
_NEVER = {"antigravity", "this", "__main__", "__mp_main__"}


def folders() -> tuple[str, ...]:
    """Return where the environment's packages lie, with links resolved."""
    return _paths("purelib", "platlib")


def standard_folders() -> tuple[str, ...]:
    """Return where the standard library lies, with links resolved."""
    return _paths("stdlib", "platstdlib")


def _paths(*kinds: str) -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    return tuple(dict.fromkeys(os.path.realpath(paths[kind]) for kind in kinds))


def loaded(modules: Iterable[str]) -> list[str]:
    """Return those of the loaded modules that are from the environment's packages, by the name they have there."""
    found, where = [], folders()
    for name in modules:
        file = os.path.realpath(file_of(name)) if is_name(name) else ""
        for folder in where:
            if file.startswith(folder + os.sep):
                first = file[len(folder) + 1 :].partition(os.sep)[0].partition(".")[0]
                found += [name] if first == name.partition(".")[0] else []
                break
    return found


def is_name(name: Any) -> bool:
    """Tell whether something can be the name of a module that is worth importing before an app is."""
    if not isinstance(name, str) or len(name) > _LONGEST_NAME or name.partition(".")[0] in _NEVER:
        return False
    return all(part.isidentifier() for part in name.split("."))


def file_of(name: str) -> str:
    """Return the file of a loaded module; empty if it has none."""
    file = getattr(sys.modules.get(name), "__file__", None)
    return file if isinstance(file, str) else ""
