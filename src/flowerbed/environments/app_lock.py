"""app.lock: every package that an app's environment has, by version and hash. Pure.

A small TOML file beside the app's pyproject.toml, written by us and meant to be committed. It is solved by uv for every
platform and Python that the Flower release is offered on, together with Flower itself, so that a laptop and an image
get the same versions. It names no index: where packages come from is each machine's own affair, the hashes say what
they have to be.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.markers import InvalidMarker, Marker
from packaging.utils import canonicalize_name

from flowerbed.environments.requirements import FLWR, Wanted
from flowerbed.errors import AppError

APP_LOCK = "app.lock"
VERSION = 1
"""The version of the format that this Flowerbed reads and writes."""

THE_APP = ""
"""What asks for a package, where that is the app itself."""

_HASH = re.compile(r"sha256:[0-9a-f]{64}")
_RELEASE = re.compile(r"\d{1,4}\.\d{1,4}\.\d{1,4}")
_PYTHON = re.compile(r"3\.\d{1,2}")
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]*")
_REMEDY = "Delete the file, or take it back from version control; `flowerbed build` writes a new one."
_HEADER = "# Written by Flowerbed; commit it to get the same packages everywhere. `flowerbed build` renews it.\n"


@dataclass(frozen=True)
class Package:
    """One package of a lock.

    Parameters
    ----------
    name : str
        Its normalised name.
    version : str
        Its exact version.
    hashes : tuple of str
        ``sha256:…`` of each of its files; one of them has to fit.
    marker : str
        Where it is installed, such as ``sys_platform == 'linux'``; empty for everywhere.
    via : tuple of str
        Which packages ask for it; `THE_APP` is the app.
    """

    name: str
    version: str
    hashes: tuple[str, ...]
    marker: str = ""
    via: tuple[str, ...] = ()

    def holds(self, environment: Mapping[str, str]) -> bool:
        """Tell whether it is installed in an environment that is described by marker variables."""
        return not self.marker or Marker(self.marker).evaluate({**environment, "extra": ""})

    @property
    def requirement(self) -> str:
        """How pip and uv take it, with its hashes, on one line."""
        marker = f" ; {self.marker}" if self.marker else ""
        return " ".join([f"{self.name}=={self.version}{marker}", *(f"--hash={one}" for one in self.hashes)])


@dataclass(frozen=True)
class AppLock:
    """What an app's environment has.

    Parameters
    ----------
    flower : str
        The exact Flower release that it was solved with.
    python : str
        The oldest Python that it holds for, such as ``3.11``.
    asked : str
        ``sha256:…`` of all that was asked for; another one makes the lock stale.
    packages : tuple of Package
        Sorted by name; a name is there more than once where markers part them.
    """

    flower: str
    python: str
    asked: str
    packages: tuple[Package, ...] = field(default=())

    def render(self) -> str:
        """Return the file's text; `read_app_lock` reads it back."""
        lines = [_HEADER, f"version = {VERSION}\n"]
        lines += [f'{name} = "{getattr(self, name)}"\n' for name in ("flower", "python", "asked")]
        for one in self.packages:
            lines.append(f'\n[[package]]\nname = "{one.name}"\nversion = "{one.version}"\n')
            if one.marker:
                lines.append(f"marker = {json.dumps(one.marker)}\n")
            lines.append(f"via = {json.dumps(list(one.via))}\n")
            lines.append("hashes = [\n" + "".join(f'    "{digest}",\n' for digest in one.hashes) + "]\n")
        return "".join(lines)

    @property
    def digest(self) -> str:
        """``sha256:…`` of the file's text."""
        return f"sha256:{hashlib.sha256(self.render().encode()).hexdigest()}"

    def installed(self, environment: Mapping[str, str]) -> list[Package]:
        """Return the packages of one environment, which is described by marker variables (PEP 508)."""
        return [one for one in self.packages if one.holds(environment)]

    def of_the_app(self, environment: Mapping[str, str], provided: Collection[str] = ()) -> list[Package]:
        """Return what the app needs in one environment beside Flower and what is provided there.

        Parameters
        ----------
        environment : mapping of str to str
            Marker variables.
        provided : collection of str
            Packages that are there already, whatever needs them: neither they nor what only they need is returned.
        """
        left = {FLWR, *map(canonicalize_name, provided)}
        here = {one.name: one for one in self.installed(environment)}
        wanted: dict[str, Package] = {}
        askers = [THE_APP]
        while askers:
            asker = askers.pop()
            for one in here.values():
                if asker in one.via and one.name not in left and one.name not in wanted:
                    wanted[one.name] = one
                    askers.append(one.name)
        return [wanted[name] for name in sorted(wanted)]

    def of_the_app_in_any(
        self, environments: Iterable[Mapping[str, str]], provided: Collection[str] = ()
    ) -> list[Package]:
        """Return what the app needs in one or another of several environments; markers say which.

        Parameters
        ----------
        environments : iterable of mapping
            The marker variables of each.
        provided : collection of str
            As in `of_the_app`.
        """
        wanted = {one for environment in environments for one in self.of_the_app(environment, provided)}
        return [one for one in self.packages if one in wanted]


@dataclass(frozen=True)
class Asked:
    """What a lock has to hold.

    Parameters
    ----------
    release : str
        The exact Flower release.
    requires_python : str
        The app's ``requires-python``; empty if it does not say.
    wanted : Wanted
        The app's requirements and settings.
    where : str
        The app's pyproject.toml, for messages.
    """

    release: str
    requires_python: str
    wanted: Wanted
    where: str

    @property
    def digest(self) -> str:
        """``sha256:…`` of all of it; the order of the app's dependencies does not count."""
        asked = [self.release, self.requires_python, list(self.wanted.requirements), dict(self.wanted.settings)]
        text = json.dumps([*asked, dict(self.wanted.paths)], sort_keys=True, default=str)
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"

    def is_answered_by(self, lock: AppLock | None) -> bool:
        """Tell whether a lock is of just this."""
        return lock is not None and lock.asked == self.digest


def read_app_lock(text: str, where: str) -> AppLock:
    """Read a lock.

    Raises
    ------
    AppError
        If the text is damaged, or of a newer version.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise AppError(f"is damaged: {error}", where=where, hint=_REMEDY) from None
    version = data.get("version")
    if isinstance(version, int) and version > VERSION:
        raise AppError(
            f"version {version} is of a newer Flowerbed; this one reads {VERSION}",
            where=where,
            hint="Upgrade Flowerbed, or delete the file to lock anew with this one.",
        )
    try:
        if version != VERSION:
            raise _damage(f"version: found {version!r}")
        packages = tuple(_package(entry) for entry in _entries(data))
        return AppLock(
            _text(data, "flower", _RELEASE), _text(data, "python", _PYTHON), _text(data, "asked", _HASH), packages
        )
    except (ValueError, InvalidMarker) as error:
        raise AppError(f"is damaged: {error}", where=where, hint=_REMEDY) from None


def app_lock_at(app: Path) -> AppLock | None:
    """Return the lock beside an app; None if there is none.

    Raises
    ------
    AppError
        As `read_app_lock`.
    """
    file = app / APP_LOCK
    try:
        text = file.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except UnicodeDecodeError:
        raise AppError("is not UTF-8", where=str(file), hint=_REMEDY) from None
    return read_app_lock(text, str(file))


def _entries(data: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    entries = data.get("package", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise _damage("package: wanted a list of tables")
    yield from entries


def _package(entry: Mapping[str, Any]) -> Package:
    hashes, via, marker = entry.get("hashes"), entry.get("via", []), entry.get("marker", "")
    name = _text(entry, "name", _NAME)
    if not isinstance(hashes, list) or not hashes or not all(_HASH.fullmatch(str(one)) for one in hashes):
        raise _damage(f"{name}: wanted sha256 hashes")
    if not isinstance(via, list) or not isinstance(marker, str):
        raise _damage(f"{name}: wanted a list as via and a text as marker")
    if marker:
        Marker(marker)
    return Package(name, _text(entry, "version", _VERSION), tuple(hashes), marker, tuple(map(str, via)))


def _text(entry: Mapping[str, Any], key: str, pattern: re.Pattern[str]) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise _damage(f"{key}: found {value!r}")
    return value


def _damage(what: str) -> ValueError:
    return ValueError(what)
