"""federation.lock: the exact releases that a federation was last built with.

A small TOML file beside federation.yaml, written by us and meant to be committed: the same file gives the
same Flower on another machine, until ``flower:`` or the app's requirements change.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from flowerbed.errors import Problem, SpecError
from flowerbed.spec.toml import NotTomlError, line_of, read_toml
from flowerbed.spec.words import found

LOCK_FILE = "federation.lock"
LOCK_VERSION = 1
"""The version of the lock's format that this Flowerbed reads and writes."""

_FIELDS = {
    "flower": (re.compile(r"\d{1,4}\.\d{1,4}\.\d{1,4}"), 'an exact release such as "1.41.0"'),
    "python": (re.compile(r"3\.\d{1,2}"), 'a minor release such as "3.11"'),
    "requirements": (re.compile(r"sha256:[0-9a-f]{64}"), '"sha256:" and 64 hexadecimal digits'),
    "environment": (re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}"), "the key of an environment"),
}
_REMEDY = "Delete the file, or take it back from version control; `flowerbed up` writes a new one."


@dataclass(frozen=True)
class Lock:
    """What a federation was last built with.

    Parameters
    ----------
    flower : str
        The exact Flower release, such as ``1.41.0``.
    python : str
        The minor release of Python, such as ``3.11``.
    requirements : str
        The digest of what the app asks for (`AppManifest.requirements_digest`): ``sha256:`` and 64 digits.
    environment : str
        The key of the environment that this came to.
    """

    flower: str
    python: str
    requirements: str
    environment: str

    def __post_init__(self) -> None:
        for name, (pattern, wanted) in _FIELDS.items():
            value = getattr(self, name)
            if not pattern.fullmatch(value):
                raise ValueError(f"{name}: wanted {wanted}, found {value!r}")

    def render(self) -> str:
        """Return the file's text; `read_lock` reads it back."""
        fields = "".join(f'{name} = "{getattr(self, name)}"\n' for name in _FIELDS)
        return (
            "# Written by Flowerbed; commit it to get the same Flower everywhere. Delete it to take newer releases.\n"
            f"version = {LOCK_VERSION}\n{fields}"
        )


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
    problems = [problem(key, "no such key") for key in data.keys() - _FIELDS.keys()]
    fields: dict[str, str] = {}
    for name, (pattern, wanted) in _FIELDS.items():
        value = data.get(name)
        if isinstance(value, str) and pattern.fullmatch(value):
            fields[name] = value
        else:
            problems.append(problem(name, f"wanted {wanted}, found {found(value)}"))
    if problems:
        raise SpecError(sorted(problems, key=lambda one: (one.line, one.message)), hint=_REMEDY)
    return Lock(**fields)
