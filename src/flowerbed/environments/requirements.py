"""What an app asks to have installed, read from its pyproject.toml. Pure.

Everything about flwr itself is taken out, by parsed requirement: the federation's release decides.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import dropwhile, takewhile
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from flowerbed.errors import AppError, ReleaseError

FLWR = "flwr"
_STAND_INS = {"flwr-nightly"}
"""Packages that put another ``flwr`` in the place of the federation's release."""

_UV_SETTINGS = {
    # What of [tool.uv] says where the app's dependencies come from and how they are solved.
    "build-constraint-dependencies",
    "config-settings",
    "config-settings-package",
    "constraint-dependencies",
    "dependency-metadata",
    "exclude-dependencies",
    "exclude-newer",
    "exclude-newer-package",
    "extra-build-dependencies",
    "extra-index-url",
    "find-links",
    "fork-strategy",
    "index",
    "index-strategy",
    "index-url",
    "keyring-provider",
    "no-binary",
    "no-binary-package",
    "no-build",
    "no-build-package",
    "no-index",
    "override-dependencies",
    "prerelease",
    "resolution",
    "sources",
    "torch-backend",
}


_UV_PLACES = {
    # Those of them that say where packages come from; the others are for solving, and what is locked is solved.
    *("extra-index-url", "find-links", "index", "index-strategy", "index-url", "keyring-provider", "no-index"),
    "sources",
}


@dataclass(frozen=True)
class Wanted:
    """What an app wants, apart from flwr.

    Parameters
    ----------
    requirements : tuple of str
        Normalised and sorted.
    paths : dict of str to str
        Package → folder or file in which it lies, as written; relative ones to the app's folder.
    settings : dict
        The app's own settings for uv: where packages come from.
    """

    requirements: tuple[str, ...] = ()
    paths: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


def read_pyproject(text: str, where: str) -> dict[str, Any]:
    """Parse a pyproject.toml.

    Raises
    ------
    AppError
        If it is not TOML.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r" \(at line (\d+), column (\d+)\)$", str(error))
        where = f"{where}:{place[1]}:{place[2]}" if place else where
        raise AppError(f"the file is not valid TOML: {error}", where=where) from error


def place_of(text: str, written: str, where: str) -> str:
    """Return a file's name with the line of a text in it, as it is written there; without one if it is not."""
    line = next((number for number, line in enumerate(written.splitlines(), 1) if text in line), None)
    return where if line is None else f"{where}:{line}"


def place_of_requirement(names: Iterable[str], written: str, where: str) -> str:
    """Return a pyproject.toml's name with the line of the first of some packages that its dependencies name."""
    numbered = dropwhile(lambda one: not one[1].startswith("[project]"), enumerate(written.splitlines(), 1))
    numbered = dropwhile(lambda one: not one[1].lstrip().startswith("dependencies"), numbered)
    lines = list(takewhile(lambda one: not one[1].startswith("["), numbered))
    for name in names:
        for number, line in lines:
            if any(name_of(text) == name for _, text in re.findall(r"([\"'])(.+?)\1", line)):
                return f"{where}:{number}"
    return where


def is_dynamic(pyproject: Mapping[str, Any]) -> bool:
    """Tell whether only the app's build back end knows its dependencies."""
    project = pyproject.get("project")
    if not isinstance(project, dict):
        return "poetry" in _table(pyproject.get("tool")) or "build-system" in pyproject
    return "dependencies" in _list(project.get("dynamic"))


def static_dependencies(pyproject: Mapping[str, Any]) -> list[str]:
    """Return ``project.dependencies``."""
    return [str(line) for line in _list(_table(pyproject.get("project")).get("dependencies"))]


def uv_settings(pyproject: Mapping[str, Any], uv_toml: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the app's own settings for uv; a uv.toml takes the place of ``[tool.uv]``, but for the sources."""
    own = _table(_table(pyproject.get("tool")).get("uv"))
    chosen = dict(own) if uv_toml is None else {**uv_toml, "sources": own.get("sources", {})}
    return {name: value for name, value in sorted(chosen.items()) if name in _UV_SETTINGS and value not in ({}, [])}


def places(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of an app's settings for uv that say where packages come from."""
    return {name: value for name, value in settings.items() if name in _UV_PLACES}


def wanted(
    dependencies: Iterable[str],
    *,
    release: str,
    where: str,
    markers: Mapping[str, str],
    settings: Mapping[str, Any] | None = None,
    written: str = "",
) -> Wanted:
    """Take flwr out of what an app asks for, and check that it allows the federation's release.

    Parameters
    ----------
    dependencies : iterable of str
        The app's requirements.
    release : str
        The federation's exact release.
    where : str
        The app's pyproject.toml, for messages.
    markers : mapping
        The values of the environment markers that differ from those of our own Python.
    settings : mapping or None
        The app's settings for uv.
    written : str
        The file's text, in which the line of a mistake is looked up.

    Raises
    ------
    ReleaseError
        If the app excludes the release, or asks for a flwr that is no release.
    AppError
        If a requirement cannot be read.
    """
    kept: dict[str, None] = {}
    paths: dict[str, str] = {}
    for text in dependencies:
        place = place_of(text, written, where)
        requirement = _parse(text, place)
        name = requirement.name
        if _about_flwr(requirement, release, place, markers):
            continue
        if (path := local_path(requirement.url)) is not None:
            paths[name] = path
            requirement.url = None
        kept[str(requirement)] = None
    rest, from_settings = _settings(settings or {}, release, where, markers)
    named = {name_of(text) for text in kept} | _named_by(rest)
    used = {name: path for name, path in from_settings.items() if name in named}
    return Wanted(tuple(sorted(kept)), {**used, **paths}, rest)


def _named_by(settings: Mapping[str, Any]) -> set[str]:
    """Return the packages that settings ask for by name."""
    lists = ("override-dependencies", "constraint-dependencies", "build-constraint-dependencies")
    return {name_of(str(line)) for setting in lists for line in _list(settings.get(setting))}


def local_path(url: str | None) -> str | None:
    """Return the path that a direct reference names, or None if it lies elsewhere."""
    if url is None:
        return None
    # Hatchling writes {root:uri} for the folder of the pyproject.toml; the rest is relative to it then.
    text = re.sub(r"^\{root(:uri|:real)?\}/?", "./", url)
    if text.startswith("file:"):
        text = re.sub(r"^file:(//(localhost)?(?=/))?", "", text)
        return re.sub(r"%([0-9A-Fa-f]{2})", lambda match: chr(int(match[1], 16)), text).split("#")[0]
    return text if "://" not in text and not text.startswith(("git+", "hg+", "svn+", "bzr+")) else None


def name_of(requirement: str) -> str:
    """Return the normalised name of what a requirement asks for; empty where it cannot be read."""
    found = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", requirement)
    return canonicalize_name(found[1]) if found else ""


def _parse(text: str, where: str) -> Requirement:
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        problem = str(error).splitlines()[0]
        raise AppError(f"the dependency {text!r} cannot be read: {problem}", where=where) from error
    requirement.name = canonicalize_name(requirement.name)
    return requirement


def _about_flwr(requirement: Requirement, release: str, where: str, markers: Mapping[str, str]) -> bool:
    """Tell whether a requirement is about flwr; refuse it if it contradicts the release."""
    if requirement.name not in _STAND_INS | {FLWR}:
        return False
    if requirement.marker is not None and not requirement.marker.evaluate({**markers, "extra": ""}):
        return True
    if requirement.name in _STAND_INS or requirement.url is not None:
        raise ReleaseError(
            f"the app asks for {requirement}, and the federation runs the released flwr {release}",
            where=where,
            hint="Let the app depend on a released flwr, for example "
            f'"flwr>={release}"; Flowerbed runs released versions only.',
        )
    if not requirement.specifier.contains(release, prereleases=True):
        raise ReleaseError(
            f"the app asks for flwr{requirement.specifier}, and the federation runs Flower {release}",
            where=where,
            hint=f"Set `flower` in the federation file to a release that flwr{requirement.specifier} allows, "
            "or change the app's dependency on flwr.",
        )
    return True


def _settings(
    settings: Mapping[str, Any], release: str, where: str, markers: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the settings without anything about flwr, and the paths that its sources name."""
    kept = dict(settings)
    for name in ("constraint-dependencies", "override-dependencies"):
        lines = [str(line) for line in _list(kept.get(name))]
        others = [line for line in lines if not _about_flwr(_parse(line, where), release, where, markers)]
        if name in kept:
            kept[name] = others
    sources: dict[str, Any] = {}
    paths: dict[str, str] = {}
    for name, value in _table(kept.pop("sources", None)).items():
        package = canonicalize_name(name)
        entries = value if isinstance(value, list) else [value]
        if package == FLWR:
            continue  # a flwr from elsewhere; the release is pinned
        if len(entries) == 1 and isinstance(entries[0], dict) and "path" in entries[0]:
            paths[package] = str(entries[0]["path"])
        else:
            sources[package] = value
    if sources:
        kept["sources"] = sources
    return {name: value for name, value in kept.items() if value not in ({}, [])}, paths


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
