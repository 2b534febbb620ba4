"""The table of Flower releases: which of them are proven, and how each is deployed.

A row stands for a minor release in its newest patch, because a contract is proven by running exactly that.
What is not in the table is refused with the nearest row that is, rather than tried on a user's data.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from packaging.specifiers import SpecifierSet

from flowerbed.errors import ReleaseError
from flowerbed.flower.contract import ReleaseContract
from flowerbed.flower.families import v1_22, v1_23, v1_35, v1_37, v1_40
from flowerbed.flower.release import Minor, Release, parse


@dataclass(frozen=True)
class Row:
    """One proven minor release.

    Parameters
    ----------
    minor : Minor
        The minor release.
    patch : int
        Its newest patch that was proven.
    contract : ReleaseContract
        How it is deployed.
    floors : tuple of str
        Requirements that every solve of its environment needs beside ``flwr`` itself, which is pinned exactly
        (so that no solve falls back to an old one); none so far.
    pythons : tuple of str
        The minor versions of Python on which a real run proved it. Each release solves on 3.12 and 3.13 too.
    """

    minor: Minor
    patch: int
    contract: ReleaseContract
    floors: tuple[str, ...] = ()
    pythons: tuple[str, ...] = ("3.11",)

    @property
    def release(self) -> Release:
        """The exact release that was proven."""
        return Release(self.minor, self.patch)


_FAMILIES: dict[int, ReleaseContract] = {
    22: v1_22.Family(),
    23: v1_23.Family(),
    35: v1_35.Family(),
    37: v1_37.Family(),
    40: v1_40.Family(),
}
"""Each family by the number of its first minor release."""


def _row(number: int, patch: int = 0, pythons: tuple[str, ...] = ("3.11",)) -> Row:
    contract = _FAMILIES[max(first for first in _FAMILIES if first <= number)]
    return Row(Minor(1, number), patch, contract, pythons=pythons)


_NEWER_PYTHONS = ("3.11", "3.12", "3.13")


RELEASES: tuple[Row, ...] = (
    _row(22),
    _row(23),
    _row(24),
    _row(25),
    _row(26, 1),
    _row(27),
    _row(28),
    _row(29),
    _row(30),
    _row(31),
    _row(32, 1),
    _row(33),
    _row(34),
    _row(35),
    _row(36),
    _row(37),
    _row(38, pythons=_NEWER_PYTHONS),
    _row(39, pythons=_NEWER_PYTHONS),
    _row(40, pythons=_NEWER_PYTHONS),
    _row(41, pythons=_NEWER_PYTHONS),
    _row(42, pythons=_NEWER_PYTHONS),
)
"""Every proven release, oldest first."""

DEFAULT: Row = RELEASES[-1]
"""The newest proven release."""


def find(text: str) -> Row:
    """Return the row of ``1.42`` or ``1.42.0``.

    Raises
    ------
    ReleaseError
        If the text is no release, or one that is not proven; the hint names the nearest that is.
    """
    wanted = parse(text)
    minor = wanted.minor if isinstance(wanted, Release) else wanted
    nearest = min(RELEASES, key=lambda row: (_distance(row.minor, minor), -row.minor.minor))
    if wanted in (nearest.minor, nearest.release):
        return nearest
    raise ReleaseError(f"Flower {wanted} is not proven here", hint=f"The nearest proven release is {_name(nearest)}.")


def choose(requested: str | None, app_requirement: SpecifierSet | None, *, place: str | None = None) -> Row:
    """Return the release that a federation runs on.

    Parameters
    ----------
    requested : str or None
        What the federation file asks for; None for the newest proven release that the app allows.
    app_requirement : SpecifierSet or None
        What the app's own pyproject allows of ``flwr``; None where it says nothing.
    place : str or None
        Where it says so, as ``file:line``.

    Raises
    ------
    ReleaseError
        If the release is not proven, if the app does not allow it, or if it allows none that is.
    """
    allowed = [row for row in RELEASES if app_requirement is None or _allows(app_requirement, row)]
    if requested is None:
        if allowed:
            return allowed[-1]
        raise ReleaseError(
            f"the app asks for flwr{app_requirement}, and no proven Flower release is that",
            where=place,
            hint=f"Proven are {RELEASES[0].release} to {DEFAULT.release}; change the app's requirement to allow one.",
        )
    row = find(requested)
    if row in allowed:
        return row
    hint = f"Ask for {_name(allowed[-1])}, or change" if allowed else "Change"
    raise ReleaseError(
        f"the federation asks for Flower {requested} (that is {row.release}), and the app for flwr{app_requirement}",
        where=place,
        hint=f"{hint} the app's requirement.",
    )


def choose_locked(
    requested: str | None, locked: str | None, app_requirement: SpecifierSet | None, *, place: str | None = None
) -> Row:
    """Return the release that a federation runs on, where a lock may hold it to an exact one.

    Parameters
    ----------
    requested, app_requirement, place
        As in `choose`.
    locked : str or None
        The exact release of the lock: it stays, other patch of a proven minor or not, until the file or the app
        asks for something else.

    Raises
    ------
    ReleaseError
        As `choose` does.
    """
    exact = parse(locked) if locked is not None else None
    if isinstance(exact, Release) and (requested is None or requested in (str(exact), str(exact.minor))):
        row = replace(choose(str(exact.minor), None), patch=exact.patch)
        if app_requirement is None or _allows(app_requirement, row):
            return row
    return choose(requested, app_requirement, place=place)


def _allows(requirement: SpecifierSet, row: Row) -> bool:
    return requirement.contains(str(row.release), prereleases=True)


def _distance(one: Minor, other: Minor) -> int:
    return abs((one.major - other.major) * 10_000 + one.minor - other.minor)


def _name(row: Row) -> str:
    return f'"{row.minor}" ({row.release})'
