"""From an app's folder to what its environment shall contain."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flowerbed.environments import requirements as reading
from flowerbed.environments.app_lock import APP_LOCK, AppLock, Asked, app_lock_at
from flowerbed.environments.cache import Progress, cache_root, silent, writable
from flowerbed.environments.model import EnvironmentRequest
from flowerbed.environments.python import Interpreter, allows
from flowerbed.environments.sources import local_projects, project_digest
from flowerbed.environments.workspaces import settled
from flowerbed.errors import AppError


def request(
    app: Path | None,
    *,
    release: str,
    python: Interpreter,
    launchers: Mapping[str, Path] | None = None,
    modules: Mapping[str, Path] | None = None,
    progress: Progress = silent,
) -> EnvironmentRequest:
    """Find out what an app needs.

    Parameters
    ----------
    app : Path or None
        The app's folder; None asks for Flower alone.
    release : str
        The federation's exact Flower release.
    python : Interpreter
        The Python to build on.
    launchers : mapping of str to Path or None
        Name of a program → the script that shall stand for it.
    modules : mapping of str to Path or None
        What these scripts import, by its path in a folder beside theirs.
    progress : callable
        Is told when a build back end has to be asked, which takes seconds the first time.

    Raises
    ------
    AppError
        If the app's pyproject.toml cannot be read, or excludes this Python, or its back end fails.
    ReleaseError
        If the app's requirement of flwr excludes the release.
    """
    scripts, beside = _texts(launchers or {}), _texts(modules or {})
    if app is None:
        return EnvironmentRequest(release, python, launchers=scripts, modules=beside)
    app = app.resolve()
    asked = read_asked(app, release=release, python=python, progress=progress)
    _check_python(app, asked, python)
    wanted = asked.wanted
    paths = local_projects(app, wanted.paths, python.markers())
    return EnvironmentRequest(
        release=release,
        python=python,
        requirements=wanted.requirements,
        settings=wanted.settings,
        paths=paths,
        digests={name: project_digest(path) for name, path in paths.items()},
        launchers=scripts,
        modules=beside,
        where=asked.where,
        lock=_lock(app, asked, python, progress),
    )


def _texts(files: Mapping[str, Path]) -> dict[str, str]:
    return {name: path.read_text(encoding="utf-8") for name, path in sorted(files.items())}


def read_asked(app: Path, *, release: str, python: Interpreter, progress: Progress = silent) -> Asked:
    """Read what an app asks for; its build back end is asked where only that knows.

    Raises
    ------
    AppError
        If the app's pyproject.toml cannot be read, or its back end fails.
    ReleaseError
        If the app's requirement of flwr excludes the release.
    """
    app = app.resolve()
    file, pyproject = app / "pyproject.toml", _pyproject(app)
    uv_toml = app / "uv.toml"
    own = _toml(uv_toml) if uv_toml.is_file() else None
    project = pyproject.get("project")
    wanted = reading.wanted(
        _dependencies(app, pyproject, python, progress),
        release=release,
        where=str(file),
        markers=python.markers(),
        settings=settled(app, reading.uv_settings(pyproject, own), python.markers()),
        written=_text(file),
    )
    requires = str(project.get("requires-python", "")) if isinstance(project, dict) else ""
    return Asked(release, requires, wanted, str(file))


def check_static(app: Path, *, release: str, python: Interpreter) -> int | None:
    """Check what an app asks for as far as its pyproject.toml tells: no build back end is asked.

    Returns
    -------
    int or None
        How many packages it asks for beside Flower; None if only its build back end knows.

    Raises
    ------
    AppError
        If a file cannot be read, this Python is excluded, or what lies on this machine is not there.
    ReleaseError
        If the app's requirement of flwr excludes the release.
    """
    app = app.resolve()
    app_lock_at(app)
    if reading.is_dynamic(_pyproject(app)):
        return None
    asked = read_asked(app, release=release, python=python)
    _check_python(app, asked, python)
    local_projects(app, asked.wanted.paths, python.markers())
    return len(asked.wanted.requirements)


def _check_python(app: Path, asked: Asked, python: Interpreter) -> None:
    if not allows(asked.requires_python, python.version):
        raise AppError(
            f"the app needs Python {asked.requires_python}, and this is Python {python.version}",
            where=reading.place_of("requires-python", _text(app / "pyproject.toml"), asked.where),
            hint="Choose another Python with spec.python.",
        )


def _lock(app: Path, asked: Asked, python: Interpreter, progress: Progress) -> AppLock | None:
    """Return the lock beside an app, where it is of what the app asks for."""
    lock = app_lock_at(app)
    if lock is None:
        return None
    if lock.flower != asked.release:
        progress(f"{APP_LOCK} is of Flower {lock.flower}: Flower {asked.release} is solved without it")
    elif not asked.is_answered_by(lock):
        progress(f"{APP_LOCK} is not of what the app asks for now: solved without it; `flowerbed build` writes it anew")
    elif not allows(f">={lock.python}", python.version):
        progress(f"{APP_LOCK} is for Python {lock.python} and newer: solved without it")
    else:
        return lock
    return None


def dependencies(app: Path, *, python: Interpreter, progress: Progress = silent) -> list[str]:
    """Return an app's dependencies, without those of its extras; its build back end is asked where only that knows.

    Raises
    ------
    AppError
        If the app's pyproject.toml cannot be read, or its back end fails.
    """
    app = app.resolve()
    return _dependencies(app, _pyproject(app), python, progress)


def _dependencies(app: Path, pyproject: Mapping[str, Any], python: Interpreter, progress: Progress) -> list[str]:
    if not reading.is_dynamic(pyproject):
        return reading.static_dependencies(pyproject)
    from flowerbed.environments.metadata import dynamic_dependencies

    with writable(cache_root()):
        return dynamic_dependencies(app, pyproject, python, progress)


def _pyproject(app: Path) -> dict[str, Any]:
    return _toml(app / "pyproject.toml")


def _toml(file: Path) -> dict[str, Any]:
    return reading.read_pyproject(_text(file), str(file))


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise AppError(
            f"the app's {file.name} cannot be read: {getattr(error, 'strerror', None) or error}",
            where=str(file),
            hint="Name the folder of a Flower App: it has a pyproject.toml with [tool.flwr.app].",
        ) from error
