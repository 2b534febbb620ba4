"""Copies and fingerprints of source folders, so that no build back end ever writes into a user's folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from flowerbed.environments.requirements import FLWR, place_of
from flowerbed.environments.solving import toml
from flowerbed.environments.workspaces import find_workspace, local_sources
from flowerbed.errors import AppError

_SKIPPED = {"__pycache__", "build", "dist", "env", "node_modules", "site-packages", "venv"}
_LARGEST = 10_000_000
"""Bytes. A FAB may not be larger either; data sets and checkpoints say nothing about dependencies."""

_BUILD_SUFFIXES = {".toml", ".cfg", ".txt", ".in", ".ini", ".json", ".yaml", ".yml", ".md", ".rst"}


def _source_files(root: Path) -> Iterator[Path]:
    """Yield the files that belong to a project, in a fixed order: no hidden ones, no build results, no data."""
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(
            name
            for name in folders  # os.walk does not follow links to folders
            if not name.startswith(".") and name not in _SKIPPED and not name.endswith((".egg-info", ".dist-info"))
        )
        for name in sorted(files):
            path = Path(folder, name)
            if not name.endswith((".pyc", ".so")) and path.is_file() and path.stat().st_size <= _LARGEST:
                yield path


def copy_project(root: Path, to: Path) -> None:
    """Copy a project's sources; links to files become files."""
    for path in _source_files(root):
        target = to / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        shutil.copymode(path, target)


def project_digest(path: Path) -> str:
    """Return a fingerprint of all of a project's sources, or of one file."""
    files = [path] if path.is_file() else _source_files(path)
    return _digest(path if path.is_dir() else path.parent, files)


def build_digest(root: Path) -> str:
    """Return a fingerprint of the files from which a build back end may take an app's dependencies.

    These are the configuration and text files near the top and the Python files beside the
    pyproject.toml (setup.py, hooks of a back end), but not the app's own packages: a changed training
    loop changes no dependency.
    """

    def matters(path: Path) -> bool:
        place = path.relative_to(root)
        in_back_end = place.parts[0] in {"_build", "build_backend", "backend", "buildtools", "requirements"}
        shallow = len(place.parts) <= 3 and path.suffix in _BUILD_SUFFIXES
        return shallow or in_back_end or (len(place.parts) == 1 and path.suffix == ".py")

    return _digest(root, (path for path in _source_files(root) if matters(path)))


def _place(file: Path, path: str) -> str:
    """Return the file's name with the line that names a path, if it is written there as it is."""
    written = file.read_text(encoding="utf-8") if file.is_file() else ""
    return place_of(path, written, str(file))


def local_dependency(app: Path, path: str, name: str) -> Path:
    """Return where a dependency that is given by path lies.

    Raises
    ------
    AppError
        If nothing is there.
    """
    place = (app / path).resolve()
    if place.is_file() or (place / "pyproject.toml").is_file() or (place / "setup.py").is_file():
        return place
    problem = "that folder is no Python project" if place.is_dir() else "nothing is there"
    raise AppError(
        f"the dependency {name!r} is to come from {path!r}, and {problem}",
        where=_place(app / "pyproject.toml", path),
        hint="Give a path, relative to that file, of a wheel or of a folder with a pyproject.toml.",
    )


def local_projects(app: Path, named: Mapping[str, str], markers: Mapping[str, str]) -> dict[str, Path]:
    """Return all that lies on this machine and may be installed: what an app names, what that names, and so on.

    Parameters
    ----------
    app : Path
        The app's folder.
    named : mapping of str to str
        Package → path, as the app has it.
    markers : mapping
        The values of the environment markers that differ from those of our own Python.

    Raises
    ------
    AppError
        If nothing is at one of the paths, or a source is no member of the workspace that it names.
    """
    found: dict[str, Path] = {}
    queue = [(app, name, path) for name, path in sorted(named.items())]
    while queue:
        folder, name, path = queue.pop(0)
        if name not in found:
            found[name] = place = local_dependency(folder, path, name)
            nested = local_sources(place, markers)[1] if place.is_dir() else {}
            queue += [(place, *one) for one in sorted(nested.items())]
    return dict(sorted(found.items()))


def copy_local(root: Path, to: Path, copies: Mapping[str, Path], markers: Mapping[str, str]) -> None:
    """Copy a project to be built from, so that the sources in it name the copies of other projects.

    Parameters
    ----------
    root, to : Path
        The project, and where its copy is made.
    copies : mapping of str to Path
        Package → the folder or file from which it is installed.
    markers : mapping
        As for `local_projects`.
    """
    copy_project(root, to)
    file = to / "pyproject.toml"
    settings, _ = local_sources(root, markers)
    if not file.is_file() or not (settings.get("sources") or find_workspace(root)):
        return
    pyproject = tomllib.loads(file.read_text(encoding="utf-8"))
    own = pyproject.setdefault("tool", {}).setdefault("uv", {})
    own.pop("workspace", None)  # its members are not beside the copy
    own["sources"] = _of_copies(settings.get("sources", {}), copies)
    if "index" in settings:
        own["index"] = settings["index"]
    file.write_text("".join(f"{toml(key)} = {toml(value)}\n" for key, value in pyproject.items()), encoding="utf-8")


def _of_copies(sources: Mapping[str, Any], copies: Mapping[str, Path]) -> dict[str, Any]:
    found = {}
    for name, value in sources.items():
        package = canonicalize_name(name)
        local = any(
            isinstance(entry, dict) and "path" in entry for entry in (value if isinstance(value, list) else [value])
        )
        if package in copies:
            found[name] = {"path": str(copies[package])}
        elif package != FLWR and not local:
            found[name] = value
    return found


def _digest(root: Path, files: Iterator[Path] | list[Path]) -> str:
    total = hashlib.sha256()
    for path in files:
        content = path.read_bytes()
        total.update(f"{path.relative_to(root).as_posix()}\0{len(content)}\0".encode())
        total.update(content)
    return total.hexdigest()
