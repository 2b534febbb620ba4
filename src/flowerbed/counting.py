"""How many of something there are, in words."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun: ``1 SuperNode``, ``2 SuperNodes``, ``0 SuperNodes``."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


def part_of(number: int, total: int, noun: str) -> str:
    """Return a part of a whole: ``0 of 1 SuperNode``, ``1 of 2 SuperNodes``."""
    return f"{number} of {counted(total, noun)}"
