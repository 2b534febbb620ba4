"""Building a Flower App Bundle (FAB) with the release's own function, and judging a run's config against it.

Standard library and `flwr` only. `flwr` is imported inside the functions, so that a program can be at work before it
has loaded.
"""

from __future__ import annotations

import difflib
import hashlib
import io
import tomllib
import zipfile
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

PRIVATE = {
    "flwr.cli.build:build_fab": ">=1.22,<1.23",
    "flwr.cli.build:_load_gitignore": ">=1.22,<1.23",
    "flwr.cli.build:build_fab_from_disk": ">=1.23",
    "flwr.common.config:validate_config": ">=1.22",
    "flwr.common.constant:FAB_EXCLUDE_PATTERNS": ">=1.23",
}
"""What is used of Flower that it does not promise to keep, as ``module:attribute``, and in which releases."""


class AppError(Exception):
    """The app's folder gives no FAB.

    Parameters
    ----------
    stage : {"pyproject", "fab"}
        What did not work: reading and checking pyproject.toml, or packing the files.
    message : str
        Why.
    """

    def __init__(self, stage: str, message: str) -> None:
        super().__init__(message)
        self.stage = stage
        self.message = message


@dataclass(frozen=True)
class Fab:
    """A Flower App Bundle, ready to be sent.

    Parameters
    ----------
    content : bytes
        The bundle, a zip archive.
    hash : str
        Its SHA-256, as Flower names it.
    id, version : str
        ``publisher/name`` and the version, from pyproject.toml.
    files : list of str
        What is packed, Flower's own listing aside.
    config : dict of str to scalar
        The app's default run config, with dotted keys.
    components : dict of str to str
        Where the app says that its ServerApp and its ClientApp are, as ``module:object``.
    """

    content: bytes
    hash: str
    id: str
    version: str
    files: list[str]
    config: dict[str, Any]
    components: dict[str, str]


def preload() -> None:
    """Import what `build` needs, so that the first build does not wait for it."""
    import_module("flwr.cli.build")
    import_module("flwr.common.config")


def build(app: Path) -> Fab:
    """Build the FAB of the app in a folder, which is only read.

    Raises
    ------
    AppError
        If pyproject.toml is no Flower App's, or Flower refuses to pack the folder.
    """
    app = app.resolve()
    project = read_pyproject(app)
    try:
        content = _build(app)
    except (Exception, SystemExit) as error:  # Flower raises ValueError, click's and typer's exceptions, by release
        raise AppError("fab", getattr(error, "message", None) or str(error) or type(error).__name__) from error
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = sorted(name for name in archive.namelist() if not name.startswith(".info/"))
    app_table = project["tool"]["flwr"]["app"]
    return Fab(
        content=content,
        hash=hashlib.sha256(content).hexdigest(),
        id=f"{app_table['publisher']}/{project['project']['name']}",
        version=project["project"]["version"],
        files=files,
        config=flatten(app_table.get("config", {})),
        components=dict(app_table["components"]),
    )


def left_out_of_every_fab() -> list[str]:
    """Return the patterns, in the words of .gitignore, of what this release packs into no FAB."""
    return list(getattr(import_module("flwr.common.constant"), "FAB_EXCLUDE_PATTERNS", ()))


def read_pyproject(app: Path) -> dict[str, Any]:
    """Read an app's pyproject.toml and have this release of Flower validate it.

    Raises
    ------
    AppError
        If it is missing, no TOML, or not a Flower App's.
    """
    path = app / "pyproject.toml"
    try:
        project = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise AppError("pyproject", "there is no pyproject.toml in the app's folder") from None
    except (OSError, ValueError) as error:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        raise AppError("pyproject", f"pyproject.toml cannot be read: {error}") from error
    try:
        valid, errors, _ = import_module("flwr.common.config").validate_config(project, False)
    except Exception as error:  # a table where a string is expected, for example
        raise AppError("pyproject", f"pyproject.toml is not a Flower App's: {error}") from error
    if not valid:
        raise AppError("pyproject", "pyproject.toml is not a Flower App's: " + "; ".join(errors))
    return project


def flatten(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a nested config table with dotted keys, as ``context.run_config`` has them."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def config_problem(config: dict[str, Any], known: dict[str, Any]) -> str | None:
    """Return what is wrong with a run's config: a key that the app does not have, or a value of another type than its.

    Flower before 1.4x takes an unknown key and lets the run fail, or ignores it; no release looks at types.
    """
    for key, value in config.items():
        if not isinstance(value, str | int | float):  # bool is an int
            return (
                f"the value of {key!r} is a {type(value).__name__}; a run config holds text, numbers and true or false"
            )
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            return f"the value of {key!r} does not fit into 64 bits"
        if key not in known:
            return f"the app has no run config key {key!r}{_nearest(key, known)}"
        own = type(known[key])
        if type(value) is not own and (type(value), own) != (int, float):
            return f"the value of {key!r} is {value!r}, a {type(value).__name__}; the app's own is {known[key]!r}"
    return None


def _nearest(key: str, known: dict[str, Any]) -> str:
    if near := difflib.get_close_matches(key, known, n=1):
        return f"; did you mean {near[0]!r}?"
    if known:
        return "; it has " + ", ".join(sorted(known))
    return "; it has none at all ([tool.flwr.app.config] in pyproject.toml)"


def _build(app: Path) -> bytes:
    module: Any = import_module("flwr.cli.build")
    content: bytes
    if hasattr(module, "build_fab_from_disk"):
        content = module.build_fab_from_disk(app)
        return content
    # 1.22 matches .gitignore's patterns against absolute paths: an app below a folder named "build", or staged
    # below ".flowerbed", would lose all its files to a pattern of that name. Later releases match relative paths.
    load = module._load_gitignore
    module._load_gitignore = lambda folder: _RelativeSpec(load(folder), folder)
    try:
        content = module.build_fab(app)[0]
    finally:
        module._load_gitignore = load
    return content


class _RelativeSpec:
    """Ignore patterns that are matched against paths relative to the app's folder."""

    def __init__(self, spec: Any, folder: Path) -> None:
        self._spec = spec
        self._folder = folder

    def match_file(self, path: Path) -> bool:
        return bool(self._spec.match_file(path.relative_to(self._folder)))
