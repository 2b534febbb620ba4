"""Log text as Flower's programs write it: its last lines, and the level told apart from the message.

Flower's console handler (``flwr.common.logger`` up to 1.34, ``flwr.supercore.logger`` since 1.35) writes
``<colour>INFO <time?><reset>:      message`` in every release from 1.22 to 1.42, one newline after each record.
"""

from __future__ import annotations

import re

from flowerbed_inside.text import plain

_PREFIX = re.compile(
    r"(?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL) "
    r"(?:\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+)?"  # where the program was told to write times
    r"\s*: {1,6}(?: (?P<message>.*)|$)",
    re.DOTALL,
)


def split_level(line: str) -> tuple[str | None, str]:
    """Part a plain line into Flower's log level and the message; the level is None where a program just printed."""
    found = _PREFIX.match(line)
    return (found["level"], found["message"] or "") if found else (None, line)


def last_lines(text: str, count: int) -> str:
    """Return the last `count` lines of a log, colours off, blank lines at the end left out."""
    lines = plain(text).rstrip().split("\n")
    return "\n".join(lines[-count:]) if count > 0 else ""
