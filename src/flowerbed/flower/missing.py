"""Why an app cannot import a module: what is in its folder and not in its FAB, and what leaves it out.

Reads the app's folder; an exception alone does not tell a package that nobody asked for from a file that was left out.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pathspec import GitIgnoreSpec

from flowerbed.flower.staging import MAX_FILE_BYTES, SKIPPED_FOLDERS

GITIGNORE = ".gitignore"
_MOST_FILES = 20_000
_COMPILED = (".so", ".pyd")

_GONE = {
    "3.12": {"asynchat", "asyncore", "distutils", "imp", "smtpd"},
    "3.13": {
        *(
            "aifc",
            "audioop",
            "cgi",
            "cgitb",
            "chunk",
            "crypt",
            "imghdr",
            "lib2to3",
            "mailcap",
            "msilib",
            "nis",
            "nntplib",
        ),
        *("ossaudiodev", "pipes", "sndhdr", "spwd", "sunau", "telnetlib", "uu", "xdrlib"),
    },
}
"""Modules that the standard library has no longer, from a Python on (docs.python.org/3/whatsnew, "Removed")."""


@dataclass(frozen=True)
class Packing:
    """What decides which files a packed app has.

    Parameters
    ----------
    what : str
        What it is packed into: a FAB, an image.
    packed : collection of str
        The files that it has.
    ignore_files : sequence of str
        Files of the app with patterns of what is left out.
    patterns : mapping of str to sequence of str
        Who has rules of their own → their patterns.
    """

    what: str
    packed: Collection[str]
    ignore_files: Sequence[str] = (GITIGNORE,)
    patterns: Mapping[str, Sequence[str]] = field(default_factory=dict)


def hint_for(app: Path, module: str, packing: Packing, installed: str = "") -> str:
    """Say what to do about a module that an app imports and that is not there.

    Parameters
    ----------
    app : Path
        The app's folder, as the user has it.
    module : str
        The module's whole name.
    packing : Packing
        How the app was packed.
    installed : str
        The first part of the name where that is installed, and only the rest is missing.
    """
    way = module.replace(".", "/")
    if (at_the_top := _file_of(app, way)) is not None:
        if at_the_top in packing.packed:
            return f"{at_the_top} is in the {packing.what}, and another {module.split('.')[0]!r} hides it. Rename it."
        if why := _what_leaves_out(app, at_the_top, packing):
            return why
    elif (elsewhere := _below(app, way)) is not None:
        return _is_elsewhere(elsewhere, module, way)
    top = module.split(".")[0]
    if any(path == f"{top}.py" or path.startswith(f"{top}/") for path in packing.packed):
        return _no_such(top, way)
    if installed:
        return (
            f"The package with {installed!r} is installed, in a version without {module!r}. Name a version that has it"
            " in the app's dependencies in pyproject.toml."
        )
    for since, gone in _GONE.items():
        if top in gone:
            return f"Python {since} and newer have no {top!r}. Choose an older one with spec.python, or do without it."
    return f"Add the package with the module {module!r} to the app's dependencies in pyproject.toml."


def surely_missing(app: Path, module: str) -> str:
    """Say why a FAB cannot have a module that the app's folder alone decides about; empty if it has it, or may.

    The folder decides where the module's first part is a package in it. Anything else may be installed.

    Parameters
    ----------
    app : Path
        The app's folder, as the user has it.
    module : str
        The module's whole name.
    """
    way = module.replace(".", "/")
    top = module.split(".")[0]
    if not (app / top / "__init__.py").is_file():
        return ""
    file = _file_of(app, way)
    if file is None:
        return _no_such(top, way)
    return _what_leaves_out(app, file, Packing("FAB", ())) if _line_of(app / GITIGNORE, file) else ""


def _no_such(top: str, way: str) -> str:
    return f"The app's own {top!r} has no such module: there is neither {way}.py nor {way}/__init__.py."


def _file_of(folder: Path, way: str) -> str | None:
    """Return the file, relative to a folder, that a module is read from."""
    for form in (f"{way}/__init__.py", f"{way}.py"):
        if (folder / form).is_file() or (folder / form).is_symlink():
            return form
    place = folder / way
    for inner in sorted(place.glob("*.py")) if place.is_dir() else ():
        return inner.relative_to(folder).as_posix()
    for compiled in sorted(place.parent.glob(f"{place.name}.*")) if place.parent.is_dir() else ():
        if compiled.suffix in _COMPILED:
            return compiled.relative_to(folder).as_posix()
    return None


def _below(app: Path, way: str) -> Path | None:
    """Return the nearest folder below the app's, relative to it, from which a module could be imported."""
    folders = (folder for folder in _folders(app) if folder != app and _file_of(folder, way) is not None)
    found = min(folders, key=lambda folder: (len(folder.parts), folder), default=None)
    return None if found is None else found.relative_to(app)


def _folders(app: Path) -> Iterator[Path]:
    seen = 0
    for at, folders, files in os.walk(app):
        folders[:] = sorted(name for name in folders if name not in SKIPPED_FOLDERS and not name.startswith("."))
        seen += len(files) + 1
        if seen > _MOST_FILES:
            return
        yield Path(at)


def _is_elsewhere(folder: Path, module: str, way: str) -> str:
    place, whole = folder.as_posix(), ".".join((*folder.parts, module))
    top = way.split("/")[0]
    said = f"{module!r} is in {place}/, and Flower imports from the app's folder itself."
    if folder.parts[0] == "src":
        return f"{said} Move {place}/{top} beside pyproject.toml."
    return f"{said} Import it as {whole!r}, or move {place}/{top} beside pyproject.toml."


def _what_leaves_out(app: Path, path: str, packing: Packing) -> str:
    """Say what leaves a file of the app out, and what to write; empty if that is not known."""
    what = f"{path} is in the app's folder and not in the {packing.what}"
    for place in (path, *(str(parent) for parent in Path(path).parents if parent.name)):
        if (app / place).is_symlink():
            return f"{what}: {place} is a link, to {(app / place).readlink()}. Copy what it points to in its place."
    if path.endswith(_COMPILED):
        return f"{what}: Flower packs no compiled modules. Make a package of it that the app depends on."
    for name in packing.ignore_files:
        if found := _line_of(app / name, path):
            line, text = found
            again = f", or write `!{path}` below it" if name == GITIGNORE else ""
            return f"{what}: {name}, line {line}, `{text}`, leaves it out. Change that line{again}."
    for who, patterns in packing.patterns.items():
        if pattern := _matching(patterns, path):
            return f"{what}: {who} leaves out `{pattern}`. Give the file or its folder another name."
    for key, fits in (("fab-exclude", True), ("fab-include", False)):
        patterns = _fab_patterns(app, key)
        if patterns and (_matching(patterns, path) is not None) is fits:
            does = "leaves it out" if fits else "does not name it"
            return f"{what}: {key} of [tool.flwr.app] in pyproject.toml {does}. Change that list."
    if skipped := next((part for part in Path(path).parts if part in SKIPPED_FOLDERS), None):
        return f"{what}: nothing below {skipped}/ is packed. Move it to another folder."
    if (app / path).stat().st_size > MAX_FILE_BYTES:
        return f"{what}: it is larger than {MAX_FILE_BYTES // 2**20} MB. Move its data out of the code."
    return ""


def _line_of(file: Path, path: str) -> tuple[int, str] | None:
    """Return the line of an ignore file that leaves a path out, with its number: of those that match, the last."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    matching = [number for number, line in enumerate(lines) if _matches(line.strip().removeprefix("!"), path)]
    if not matching or lines[matching[-1]].strip().startswith("!"):
        return None
    return matching[-1] + 1, lines[matching[-1]].strip()


def _matching(patterns: Sequence[str], path: str) -> str | None:
    return next((pattern for pattern in patterns if _matches(pattern, path)), None)


def _matches(pattern: str, path: str) -> bool:
    try:
        return GitIgnoreSpec.from_lines([pattern]).match_file(path)
    except ValueError:  # no pattern; Flower has its own words for that
        return False


def _fab_patterns(app: Path, key: str) -> list[str]:
    try:
        data: Any = tomllib.loads((app / "pyproject.toml").read_text(encoding="utf-8"))
        patterns = data["tool"]["flwr"]["app"][key]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [str(one) for one in patterns] if isinstance(patterns, list) else []
