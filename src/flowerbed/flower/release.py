"""A Flower release's number, parsed and ordered."""

from __future__ import annotations

import re
from dataclasses import dataclass

from flowerbed.errors import ReleaseError

_NUMBER = re.compile(r"(?P<major>\d{1,4})\.(?P<minor>\d{1,4})(?:\.(?P<patch>\d{1,4}))?")


@dataclass(frozen=True, order=True)
class Minor:
    """A minor release such as 1.42: the unit in which Flower's contract changes."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


@dataclass(frozen=True, order=True)
class Release:
    """An exact release such as 1.42.0."""

    minor: Minor
    patch: int

    def __str__(self) -> str:
        return f"{self.minor}.{self.patch}"


def parse(text: str) -> Minor | Release:
    """Parse ``1.42`` or ``1.42.0``.

    Raises
    ------
    ReleaseError
        If the text is neither.
    """
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        raise ReleaseError(
            f"{text!r} is not a Flower release",
            hint='Write a minor release such as "1.42" (its newest proven patch is taken) or an exact one, in quotes.',
        )
    minor = Minor(int(match["major"]), int(match["minor"]))
    return minor if match["patch"] is None else Release(minor, int(match["patch"]))
