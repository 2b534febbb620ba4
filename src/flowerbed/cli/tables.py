"""Tables as lines of text: columns padded with spaces, made to fit where there is a width to fit. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

GAP = "  "
LONG_AT_LEAST = 26
"""Characters that a column gets at least whose cells go on in the next line; other columns go before it has less."""


def lines(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    width: int | None = None,
    long: str | None = None,
    least_needed: Sequence[str] = (),
) -> list[str]:
    """Return a table's lines, the headings first.

    Parameters
    ----------
    width : int or None
        Characters of a line; None where it does not matter.
    long : str or None
        The column whose cells may go on in the next line.
    least_needed : sequence of str
        Columns to do without if it is too wide, the first one first; a last line names those that are left out.
    """
    table = [list(headings), *map(list, rows)]
    left_out: list[str] = []
    for name in least_needed:
        if width is None or _least_width(table, long) <= width:
            break
        place = table[0].index(name)
        table = [[*row[:place], *row[place + 1 :]] for row in table]
        left_out.insert(0, name)
    shown = _padded(_wrapped(table, width, long))
    if not left_out:
        return shown
    return [*shown, *textwrap.wrap(f"Left out, for want of width: {', '.join(left_out)}.", width or 80)]


def _widths(table: Sequence[Sequence[str]]) -> list[int]:
    return [max(len(row[column]) for row in table) for column in range(len(table[0]))]


def _least_width(table: Sequence[Sequence[str]], long: str | None) -> int:
    widths = _widths(table)
    if long is not None:
        place = table[0].index(long)
        widths[place] = min(widths[place], LONG_AT_LEAST)
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _wrapped(table: list[list[str]], width: int | None, long: str | None) -> list[list[str]]:
    """Return the same rows, the cells of the long column as lines of their own where that makes them fit."""
    if width is None or long is None:
        return table
    place, widths = table[0].index(long), _widths(table)
    room = max(width - _least_width(table, long) + min(widths[place], LONG_AT_LEAST), LONG_AT_LEAST)
    if widths[place] <= room:
        return table
    result: list[list[str]] = []
    for row in table:
        first, *others = textwrap.wrap(row[place], room, break_on_hyphens=False) or [""]
        result.append([*row[:place], first, *row[place + 1 :]])
        for more in others:
            empty = [""] * len(row)
            empty[place] = more
            result.append(empty)
    return result


def _padded(table: Sequence[Sequence[str]]) -> list[str]:
    widths = _widths(table)
    return [GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
