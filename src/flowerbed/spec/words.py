"""How values and names are talked about in messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_LONGEST = 40


def found(value: object) -> str:
    """Say what a value of the file is: ``the number 3``, ``a list``, ``nothing``."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {value}"
        case str():
            return f'"{value}"' if len(value) <= _LONGEST else f'"{value[:_LONGEST]}…"'
        case dict():
            return "a mapping"
        case _:
            return "a list"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that a misspelt one was probably meant to be.

    Capitals, hyphens and underscores do not count: ``node_config`` is ``nodeConfig``.
    """
    plain = {_plain(other): other for other in known}
    matches = difflib.get_close_matches(_plain(name), plain, n=1, cutoff=0.6)
    return plain[matches[0]] if matches else None


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")
