"""What of this package goes where: a module goes with all that it imports of the package.

It runs on this side, and is in no bundle itself. A bundle is a dict: the path of a file below the folder that holds the
package → where the file lies here.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent
"""What Python is started with: ``python PACKAGE MODULE``."""

NAME = PACKAGE.name
CONTROL, CHECK, RESULTS = "control.client", "submit.check", "results"
UNIT, SUBMIT, LAUNCH = "unit.main", "submit.main", "launch.main"
"""Modules that have a ``main``."""

LAUNCHER = PACKAGE / "launch" / "script.py"
"""What lies on PATH under the name of each program of `LAUNCHED`."""

LAUNCHED = ("flower-superexec", "flower-superlink", "flower-supernode", "flwr-clientapp", "flwr-serverapp")
"""The programs of Flower's that a launcher starts."""

START = PACKAGE / "site" / "start.py"
"""Starts the SuperNode of a kit, at a site. It stands alone."""


def launchers() -> dict[str, Path]:
    """Return the script that stands before each program of Flower's on PATH: program name → file."""
    return dict.fromkeys(LAUNCHED, LAUNCHER)


def bundle(*modules: str) -> dict[str, Path]:
    """Return the files of modules, by their dotted names below the package, and of all that they import of it."""
    found: dict[str, Path] = {}
    waiting = ["__main__", *modules]
    while waiting:
        path = _file(waiting.pop())
        name = str(path.relative_to(PACKAGE.parent))
        if name not in found:
            found[name] = path
            waiting += _imported(path)
            waiting += [".".join(folder.relative_to(PACKAGE).parts) for folder in _folders(path)]
    return dict(sorted(found.items()))


def by_room(files: Iterable[str]) -> dict[str, list[str]]:
    """Return the files of a bundle by their rooms; those of the package itself are in the room with no name."""
    rooms: dict[str, list[str]] = {}
    for file in sorted(files):
        _, *room, _ = file.split("/")
        rooms.setdefault("/".join(room), []).append(file)
    return rooms


def _file(module: str) -> Path:
    path = PACKAGE.joinpath(*module.split(".")) if module else PACKAGE
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _folders(path: Path) -> Iterator[Path]:
    folder = path.parent
    while folder.is_relative_to(PACKAGE):
        yield folder
        folder = folder.parent


@cache
def _imported(path: Path) -> tuple[str, ...]:
    """Return the modules of the package that a file imports anywhere, by their dotted names below the package."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    below = (name.removeprefix(NAME).removeprefix(".") for name in names if name.partition(".")[0] == NAME)
    return tuple(name for name in below if _file(name).is_file())
