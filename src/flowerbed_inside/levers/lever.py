"""Levers: ways to spare Flower's programs waiting and work, each of which can be left out.

``FLOWERBED_LEVERS`` says which are on: a list with commas, ``none``, or nothing for all.

A lever is taken as a whole or not at all. What takes it looks first for all that it needs of the release, and
changes something only then. Where a release lacks something, it works as Flower made it, and the log says so in one
line.

It runs in Flower's environment: standard library and flwr only.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

LEVERS = "FLOWERBED_LEVERS"
NAMES = ("fork", "hold", "pace", "backoff", "logs", "announce", "lean")


class Lacking(Exception):
    """The release lacks something that a lever needs; the message says what."""


def is_on(name: str) -> bool:
    """Tell whether a lever is on."""
    chosen = os.environ.get(LEVERS, "").replace(" ", "")
    return not chosen or name in chosen.split(",")


def take(name: str, lever: Callable[[], None]) -> bool:
    """Take a lever if it is on, and return whether the release has what it needs.

    Parameters
    ----------
    name : str
        One of `NAMES`.
    lever : callable
        What takes it; it may raise ImportError, AttributeError or `Lacking` before it has changed anything.
    """
    if not is_on(name):
        return False
    try:
        lever()
    except (ImportError, AttributeError, Lacking) as error:
        print(f"[flowerbed: without the lever {name}: {error}]", file=sys.stderr, flush=True)
        return False
    return True
