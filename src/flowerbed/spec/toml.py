"""TOML text as plain data, with the line and column of what cannot be read."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping

BYTE_ORDER_MARK = "\ufeff"

_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


class NotTomlError(ValueError):
    """The text is not TOML; the place is counted from 1. Becomes an error with the file's name before it leaves."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column


def read_toml(text: str) -> dict[str, object]:
    """Read TOML.

    Raises
    ------
    NotTomlError
        If the text is not TOML.
    """
    if text.startswith(BYTE_ORDER_MARK):
        raise NotTomlError("it begins with a byte order mark (U+FEFF), which TOML does not allow", 1, 1)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        match = _PLACE.search(message)
        if match is None:
            raise NotTomlError(message, 1, 1) from None
        lines = text.splitlines() or [""]
        line, column = (int(match[1]), int(match[2])) if match[1] else (len(lines), len(lines[-1]) + 1)
        raise NotTomlError(message[: match.start()], line, column) from None
    except RecursionError:
        raise NotTomlError("is nested too deep", 1, 1) from None
    except ValueError as error:  # an integer of thousands of digits
        raise NotTomlError(str(error), 1, 1) from None


def line_of(text: str, *patterns: str) -> int | None:
    """Return the line, counted from 1, of the last of some patterns, each searched below the one before it.

    A later pattern that is not found leaves it at the line before; None if the first is not found. tomllib does
    not tell where a key stands; this finds tables and keys that are written in the usual way.
    """
    found: int | None = None
    lines = text.splitlines()
    for pattern in patterns:
        following = range(found - 1 if found else 0, len(lines))
        found = next((index + 1 for index in following if re.match(pattern, lines[index].lstrip())), found)
        if found is None:
            break
    return found


def place_where(text: str, there: Callable[[Mapping[str, object]], bool]) -> tuple[int, int]:
    """Return the line and column, counted from 1, of the statement that makes something so.

    A statement ends where the text up to there is TOML, so this finds it however it is written. It is searched by
    halves.

    Parameters
    ----------
    text : str
        TOML.
    there : callable
        Tells whether it is so in what the first statements of the text say; stays true once it is.
    """
    lines = text.split("\n")
    before, limit = 0, len(lines)  # so many lines do not make it so; the statement begins before this line's end
    while before + 1 < limit:
        middle = (before + limit) // 2
        for end in range(middle, limit):
            if (data := _read_part("\n".join(lines[:end]))) is not None:
                if there(data):
                    limit = end
                else:
                    before = end
                break
        else:
            limit = middle
    return before + 1, len(lines[before]) - len(lines[before].lstrip()) + 1


def _read_part(text: str) -> dict[str, object] | None:
    try:
        return read_toml(text)
    except NotTomlError:
        return None
