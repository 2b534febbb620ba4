"""federation.lock: the exact releases that a federation was last built with.

A small TOML file beside federation.yaml, written by us and meant to be committed: the same file gives the
same Flower on another machine, until ``flower:`` or the app's requirements change.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from flowerbed.errors import Problem, SpecError
from flowerbed.spec.kubernetes_values import DIGEST, IMAGE
from flowerbed.spec.toml import NotTomlError, line_of, read_toml
from flowerbed.spec.values import APT_PACKAGE
from flowerbed.spec.words import found

LOCK_FILE = "federation.lock"
LOCK_VERSION = 1
"""The version of the lock's format that this Flowerbed reads and writes."""

_FIELDS = {
    "flower": (re.compile(r"\d{1,4}\.\d{1,4}\.\d{1,4}"), 'an exact release such as "1.42.0"'),
    "python": (re.compile(r"3\.\d{1,2}"), 'a minor release such as "3.11"'),
    "requirements": (re.compile(r"sha256:[0-9a-f]{64}"), '"sha256:" and 64 hexadecimal digits'),
    "environment": (re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}"), "the key of an environment"),
}
_APT = "aptPackages"
_PLATFORM = re.compile(r"[a-z0-9]+/[a-z0-9]+")
_LOCAL = ("python", "requirements", "environment")
_REMEDY = "Delete the file, or take it back from version control; `flowerbed up` writes a new one."


@dataclass(frozen=True)
class Lock:
    """What a federation was last built with.

    Parameters
    ----------
    flower : str
        The exact Flower release, such as ``1.42.0``.
    python : str or None
        The minor release of Python, such as ``3.11``.
    requirements : str or None
        The digest of what the app asks for (`AppManifest.requirements_digest`): ``sha256:`` and 64 digits.
    environment : str or None
        The key of the environment that this came to; these three only where the local runtime has made one.
    images : mapping of str to str
        What images' names stood for: the name as manifests have it → its digest, ``sha256:`` and 64 digits.
    apt_packages : mapping of str to mapping
        What Debian's packages of the app's image were: platform → name → version.
    """

    flower: str
    python: str | None = None
    requirements: str | None = None
    environment: str | None = None
    images: Mapping[str, str] = field(default_factory=dict)
    apt_packages: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, (pattern, wanted) in _FIELDS.items():
            value = getattr(self, name)
            if not (pattern.fullmatch(value) if value is not None else name in _LOCAL):
                raise ValueError(f"{name}: wanted {wanted}, found {value!r}")
        for name, digest in self.images.items():
            if not (IMAGE.fullmatch(name) and DIGEST.fullmatch(digest)):
                raise ValueError(f"images: {name!r} = {digest!r}")
        for platform, packages in self.apt_packages.items():
            if not _are_packages(platform, packages):
                raise ValueError(f"{_APT}: {platform!r} = {packages!r}")

    def render(self) -> str:
        """Return the file's text; `read_lock` reads it back."""
        given = {name: getattr(self, name) for name in _FIELDS}
        fields = "".join(f'{name} = "{value}"\n' for name, value in given.items() if value is not None)
        images = "".join(f'"{name}" = "{digest}"\n' for name, digest in sorted(self.images.items()))
        text = (
            "# Written by Flowerbed; commit it to get the same Flower everywhere. Delete it to take newer releases.\n"
            f"version = {LOCK_VERSION}\n{fields}" + (f"\n[images]\n{images}" if images else "")
        )
        for platform, packages in sorted(self.apt_packages.items()):
            lines = "".join(f'"{name}" = "{version}"\n' for name, version in sorted(packages.items()))
            text += f'\n[{_APT}."{platform}"]\n{lines}'
        return text


def lock_at(file: Path) -> Lock | None:
    """Return the lock in a file; None if there is none.

    Raises
    ------
    SpecError
        As `read_lock`.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except UnicodeDecodeError:
        raise SpecError([Problem("is not UTF-8", str(file), 1, 1)], hint=_REMEDY) from None
    return read_lock(text, str(file))


def read_lock(text: str, file: str) -> Lock:
    """Read a lock.

    Raises
    ------
    SpecError
        If the text is damaged or of a newer version; the hint says what to do.
    """
    try:
        data = read_toml(text)
    except NotTomlError as error:
        message = f"is damaged: {error.message}"
        raise SpecError([Problem(message, file, error.line, error.column)], hint=_REMEDY) from None

    def problem(key: str, message: str) -> Problem:
        return Problem(f"{key}: {message}", file, line_of(text, rf"{re.escape(key)}\s*=") or 1, 1)

    version = data.pop("version", None)
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise SpecError([problem("version", f"wanted {LOCK_VERSION}, found {found(version)}")], hint=_REMEDY)
    if version > LOCK_VERSION:
        raise SpecError(
            [problem("version", f"{version} is of a newer Flowerbed; this one reads {LOCK_VERSION}")],
            hint="Upgrade Flowerbed, or delete the file to lock anew with this one.",
        )
    images, packages = data.pop("images", {}), data.pop(_APT, {})
    problems = [problem(key, "no such key") for key in data.keys() - _FIELDS.keys()]
    if not isinstance(images, dict):
        problems.append(problem("images", f"wanted a table, found {found(images)}"))
        images = {}
    for name, digest in images.items():
        if not (IMAGE.fullmatch(name) and isinstance(digest, str) and DIGEST.fullmatch(digest)):
            line = line_of(text, rf'"{re.escape(name)}"\s*=') or 1
            problems.append(Problem(f"images: wanted an image's name and its digest, found {name!r}", file, line, 1))
    for platform, there in packages.items() if isinstance(packages, dict) else [("", packages)]:
        if not _are_packages(platform, there):
            line = line_of(text, rf'\[?{_APT}(\."{re.escape(platform)}"\]|\s*=)') or 1
            problems.append(Problem(f"{_APT}: wanted names and versions below a platform", file, line, 1))
    fields: dict[str, str] = {}
    for name, (pattern, wanted) in _FIELDS.items():
        if name in _LOCAL and not any(other in data for other in _LOCAL):
            continue
        value = data.get(name)
        if isinstance(value, str) and pattern.fullmatch(value):
            fields[name] = value
        else:
            problems.append(problem(name, f"wanted {wanted}, found {found(value)}"))
    if problems:
        raise SpecError(sorted(problems, key=lambda one: (one.line, one.message)), hint=_REMEDY)
    return Lock(**fields, images=images, apt_packages=packages if isinstance(packages, dict) else {})


def _are_packages(platform: str, packages: object) -> bool:
    if not (_PLATFORM.fullmatch(platform) and isinstance(packages, Mapping)):
        return False
    return all(isinstance(one, str) and APT_PACKAGE.fullmatch(f"{name}={one}") for name, one in packages.items())
