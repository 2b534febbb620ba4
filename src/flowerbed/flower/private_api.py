"""What `flowerbed_inside` uses of Flower that Flower does not promise to keep.

Each module there says so in a literal named ``PRIVATE``: ``module:attribute`` → the releases in which it is
used. They are read here without being imported, because they import Flower. The drift tests compare the
list with every release, so that a private function that moves is found before a user finds it.
"""

from __future__ import annotations

import ast

from packaging.specifiers import SpecifierSet

from flowerbed.flower.release import Release
from flowerbed_inside import bundles

PUBLIC = frozenset({"flwr.app", "flwr.clientapp", "flwr.server", "flwr.serverapp"})
"""Modules that Flower's documentation tells app authors to import from."""


def used_in(release: Release) -> list[str]:
    """Return the ``module:attribute`` names that must exist in a release."""
    return sorted(name for name, releases in declared().items() if SpecifierSet(releases).contains(str(release)))


def declared() -> dict[str, str]:
    """Return all that the scripts declare: ``module:attribute`` → releases."""
    together: dict[str, str] = {}
    for script in sorted(bundles.PACKAGE.rglob("*.py")):
        for statement in ast.parse(script.read_text(encoding="utf-8")).body:
            if _assigned_name(statement) == "PRIVATE":
                together |= ast.literal_eval(statement.value)  # type: ignore[attr-defined]
    return together


def undeclared_imports() -> list[str]:
    """Return the modules of Flower that the scripts import but neither declare nor find public."""
    known = PUBLIC | {name.partition(":")[0] for name in declared()}
    found = set()
    for script in sorted(bundles.PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
            found |= {f"{script.name}: {module}" for module in _imported(node) if module not in known}
    return sorted(found)


def _imported(node: ast.AST) -> set[str]:
    names: set[str] = set()
    if isinstance(node, ast.ImportFrom):
        names = {node.module or ""}
    elif isinstance(node, ast.Import):
        names = {alias.name for alias in node.names}
    elif isinstance(node, ast.Call) and node.args and ast.unparse(node.func).endswith("import_module"):
        names = {ast.unparse(node.args[0]).strip("'")}  # a literal name; anything else is no module of Flower's
    return {name for name in names if name.split(".")[0] == "flwr"}


def _assigned_name(statement: ast.stmt) -> str | None:
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return name
        case _:
            return None
