"""Which run a user means."""

from __future__ import annotations

from collections.abc import Sequence

from flowerbed.errors import UnknownRunError
from flowerbed.runs.records import RunRecord

PREFIX = 6
"""Digits of Flower's run id that are needed at least, so that a run's number is never taken for one."""

_LATEST = ("latest", "last")


def may_name_a_run(text: str) -> bool:
    """Tell whether a text has the shape of a run's name, whatever runs there are."""
    digits = text.strip().removeprefix("#")
    return text.strip().lower() in _LATEST or (digits.isascii() and digits.isdigit())


def resolve_run(text: str, records: Sequence[RunRecord]) -> RunRecord:
    """Return the run that the text names.

    Parameters
    ----------
    text : str
        ``3`` or ``#3`` (its number), Flower's run id or a beginning of it that fits one run, ``latest``.
    records : sequence of RunRecord
        The history, in any order.

    Raises
    ------
    UnknownRunError
        No run goes by that name, or more than one does; the hint names those that are near.
    """
    name = text.strip()
    if not records:
        raise UnknownRunError(f"there is no run '{name}': nothing was run here yet", hint="Start one: flowerbed run")
    if name.lower() in _LATEST:
        return max(records, key=lambda record: record.number)
    digits = name.removeprefix("#")
    if not may_name_a_run(name):
        raise _unknown(f"'{name}' names no run", records)
    by_number = [record for record in records if str(record.number) == digits.lstrip("0")]
    if by_number:
        return by_number[0]
    if name == digits and len(digits) >= PREFIX:
        near = [record for record in records if (record.flower_id or "").startswith(digits)]
        exact = [record for record in near if record.flower_id == digits]
        if len(exact or near) == 1:
            return (exact or near)[0]
        if near:
            raise _unknown(f"'{name}' is the beginning of {len(near)} runs' ids", near)
        raise _unknown(f"there is no run whose id begins with '{name}'", records)
    raise _unknown(f"there is no run '{name}'", records, near=int(digits) if len(digits) < PREFIX else None)


def _unknown(message: str, records: Sequence[RunRecord], *, near: int | None = None) -> UnknownRunError:
    """Make the error; its hint shows the five runs nearest to a number, or the latest five."""
    target = max(record.number for record in records) if near is None else near
    shown = sorted(
        sorted(records, key=lambda record: abs(record.number - target))[:5], key=lambda record: record.number
    )
    known = ", ".join(f"{record.number} ({record.flower_id or 'never submitted'})" for record in shown)
    rest = len(records) - len(shown)
    others = f", and {rest} more" if rest else ""
    hint = f"Known runs: {known}{others}. A run goes by its number, by Flower's id, or by 'latest'."
    return UnknownRunError(message, hint=hint)
