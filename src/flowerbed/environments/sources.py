"""Copies and fingerprints of source folders, so that no build back end ever writes into a user's folder."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

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
        f"the app's dependency {name!r} is to come from {path!r}, and {problem}",
        where=str(app / "pyproject.toml"),
        hint="Give a path, relative to the app's folder, of a wheel or of a folder with a pyproject.toml.",
    )


def _digest(root: Path, files: Iterator[Path] | list[Path]) -> str:
    total = hashlib.sha256()
    for path in files:
        content = path.read_bytes()
        total.update(f"{path.relative_to(root).as_posix()}\0{len(content)}\0".encode())
        total.update(content)
    return total.hexdigest()
