"""How a SuperExec starts the processes of apps, and how its log says so.

``FLOWERBED_EXECUTION`` asks for one of two ways. ``Warm``, the default: each is forked from a process that has loaded
what it needs. ``Isolated``: each is a new interpreter. Where a fork is not safe they are Isolated, whatever was asked
for. The last line of this form in a SuperExec's log says what holds.

It runs in Flower's environment, and the runtimes read it: standard library only.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass

from flowerbed_inside.variables import EXECUTION

PRIVATE: dict[str, str] = {}
"""Nothing of Flower's is used."""

LIBRARIES = "FLOWERBED_LIBRARIES"
"""Names a file with the modules that an app needs, a JSON list; without it the first app's process tells them."""
WARM, ISOLATED = "Warm", "Isolated"
ASKED_FOR = "asked for"
"""Why they are Isolated where nothing is in the way."""
NO_LIBRARIES = "but no libraries: "
"""Begins the reason why they are Warm, and libraries that an app needs could not be loaded."""
_LINE = re.compile(rf"\[flowerbed: processes of apps are ({WARM}|{ISOLATED}): (.*)\]\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Execution:
    """How the processes of apps are started.

    Parameters
    ----------
    mode : str
        ``Warm`` or ``Isolated``.
    why : str
        What is loaded, or why it is not.
    """

    mode: str
    why: str

    @property
    def shortfall(self) -> str:
        """What holds and why, if it is less than what was asked for; else empty."""
        short = self.why != ASKED_FOR if self.mode == ISOLATED else NO_LIBRARIES in self.why
        return f"{self.mode}: {self.why}" if short else ""


def is_wanted() -> bool:
    """Tell whether processes of apps are to be Warm where that is safe."""
    return os.environ.get(EXECUTION, WARM) != ISOLATED


def say(mode: str, why: str) -> None:
    """Say in the log how the processes of apps are started from now on."""
    print(f"[flowerbed: processes of apps are {mode}: {' '.join(why.split())}]", file=sys.stderr, flush=True)


def last_said(log: str) -> Execution | None:
    """Return what a SuperExec's log says last of this; None if it says nothing."""
    found = _LINE.findall(log)
    return Execution(*found[-1]) if found else None
