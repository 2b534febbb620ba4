"""uv's workspaces: a source that is ``{workspace = true}`` becomes the folder that it stands for.

A workspace's root lists its members; a member's sources and settings are the root's, and its own go before them
(docs.astral.sh/uv/concepts/projects/workspaces). Only reads.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.markers import InvalidMarker, Marker
from packaging.utils import canonicalize_name

from flowerbed.environments import requirements as reading
from flowerbed.errors import AppError


@dataclass(frozen=True)
class Workspace:
    """A workspace.

    Parameters
    ----------
    root : Path
        The folder whose pyproject.toml says that it is one.
    settings : dict
        The root's settings for uv.
    members : dict of str to Path
        Name of a package → its folder; the root is one of them.
    """

    root: Path
    settings: Mapping[str, Any]
    members: Mapping[str, Path]


def find_workspace(folder: Path) -> Workspace | None:
    """Return the workspace that a project is a member of; None if it is of none.

    The nearest one above counts; where that does not list the project, it is of none.
    """
    for root in (folder, *folder.parents):
        pyproject = _read(root / "pyproject.toml")
        table = pyproject.get("tool", {}).get("uv", {}).get("workspace")
        if not isinstance(table, dict):
            continue
        members = {_name(root): root, **_members(root, table)}
        if folder not in members.values():
            return None
        settings = reading.uv_settings(pyproject, _read(root / "uv.toml") or None)
        return Workspace(root, settings, {name: place for name, place in members.items() if name})
    return None


def _members(root: Path, table: Mapping[str, Any]) -> dict[str, Path]:
    def folders(key: str) -> set[Path]:
        patterns = table.get(key)
        return {
            Path(os.path.normpath(root / found))
            for pattern in (patterns if isinstance(patterns, list) else [])
            for found in glob.glob(str(pattern), root_dir=root, recursive=True, include_hidden=True)  # noqa: PTH207
        }

    listed = sorted(place for place in folders("members") - folders("exclude") if (place / "pyproject.toml").is_file())
    return {name: place for place in listed if (name := _name(place))}


def _name(folder: Path) -> str:
    name = _read(folder / "pyproject.toml").get("project", {}).get("name")
    return canonicalize_name(name) if isinstance(name, str) else ""


def _read(file: Path) -> dict[str, Any]:
    """Return a TOML file; nothing where it cannot be read, as what lies above an app need not be about it."""
    try:
        data = reading.read_pyproject(file.read_text(encoding="utf-8"), str(file))
    except (OSError, UnicodeDecodeError, AppError):
        return {}
    return data if all(isinstance(data.get(name, {}), dict) for name in ("project", "tool")) else {}


def settled(folder: Path, settings: Mapping[str, Any], markers: Mapping[str, str]) -> dict[str, Any]:
    """Return a project's settings for uv with those of its workspace, and folders in place of ``workspace = true``.

    Parameters
    ----------
    folder : Path
        The project's folder.
    settings : mapping
        Its own settings.
    markers : mapping
        The values of the environment markers that differ from those of our own Python.

    Raises
    ------
    AppError
        If a source is said to be a member of the workspace, and is none.
    """
    workspace = find_workspace(folder)
    inherited = dict(workspace.settings) if workspace is not None and workspace.root != folder else {}
    above = _elsewhere(inherited.pop("sources", {}), workspace.root if workspace else folder, folder)
    own = settings.get("sources", {})
    sources = {**above, **own} if isinstance(own, dict) else above
    found = {}
    for name, value in sources.items():
        entries = value if isinstance(value, list) else [value]
        if canonicalize_name(name) == reading.FLWR or not any(map(_is_member, entries)):
            found[name] = value
        elif chosen := [_without_marker(entry) for entry in entries if _holds(entry, markers)]:
            places = [_placed(entry, name, folder, workspace) if _is_member(entry) else entry for entry in chosen]
            found[name] = places[0] if len(places) == 1 else places
    kept = {name: value for name, value in {**inherited, **settings}.items() if name != "sources"}
    return {**kept, "sources": found} if found else kept


def _is_member(entry: object) -> bool:
    return isinstance(entry, dict) and entry.get("workspace") is True


def _without_marker(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key != "marker"}


def _holds(entry: object, markers: Mapping[str, str]) -> bool:
    if not isinstance(entry, dict):
        return False
    try:
        return "marker" not in entry or Marker(str(entry["marker"])).evaluate({**markers, "extra": ""})
    except InvalidMarker:
        return True


def _elsewhere(sources: object, root: Path, folder: Path) -> dict[str, Any]:
    """Return the root's sources with their paths as seen from another folder."""

    def seen(entry: object) -> object:
        if isinstance(entry, dict) and isinstance(entry.get("path"), str):
            return {**entry, "path": os.path.relpath(root / entry["path"], folder)}
        return entry

    return {
        name: [seen(entry) for entry in value] if isinstance(value, list) else seen(value)
        for name, value in (sources.items() if isinstance(sources, dict) else ())
    }


def _placed(entry: Mapping[str, Any], name: str, folder: Path, workspace: Workspace | None) -> dict[str, Any]:
    """Return a source with the folder of the member that it means."""
    where = str(folder / "pyproject.toml")
    if workspace is None:
        raise AppError(
            f"the dependency {name!r} is said to be in the same uv workspace, and this project is in none",
            where=where,
            hint="Name the project in members of [tool.uv.workspace] in a pyproject.toml above it,"
            f' or say where the dependency lies: {name} = {{ path = "…" }}.',
        )
    place = workspace.members.get(canonicalize_name(name))
    if place is None:
        raise AppError(
            f"the dependency {name!r} is said to be in the same uv workspace, which has no member of that name",
            where=where,
            hint=f"{workspace.root / 'pyproject.toml'} has {', '.join(sorted(workspace.members))}.",
        )
    rest = {key: value for key, value in entry.items() if key not in ("workspace", "editable")}
    return {**rest, "path": os.path.relpath(place, folder)}


def local_sources(folder: Path, markers: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return a local project's settings for uv as they count, and the paths that it names for what it asks for.

    Parameters
    ----------
    folder : Path
        The project's folder.
    markers : mapping
        As for `settled`.
    """
    pyproject = _read(folder / "pyproject.toml")
    settings = settled(folder, reading.uv_settings(pyproject), markers)
    names = _asked_for(pyproject)
    paths: dict[str, str] = {
        canonicalize_name(name): str(value["path"])
        for name, value in settings.get("sources", {}).items()
        if isinstance(value, dict) and "path" in value and (names is None or canonicalize_name(name) in names)
    }
    return settings, paths


def _asked_for(pyproject: Mapping[str, Any]) -> set[str] | None:
    """Return the names of all that a project may ask for; None where only its build back end knows."""
    if reading.is_dynamic(pyproject):
        return None
    project = pyproject.get("project", {})
    extras = project.get("optional-dependencies", {})
    lists = [project.get("dependencies"), *(extras.values() if isinstance(extras, dict) else ())]
    lists.append(pyproject.get("build-system", {}).get("requires"))
    return {reading.name_of(str(line)) for lines in lists if isinstance(lines, list) for line in lines}
