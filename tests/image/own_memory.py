"""How much memory a `flowerbed` command itself takes at most, without the programs that it starts."""

from __future__ import annotations

import re
import sys

_SCRIPT = """
import re, sys
from flowerbed.cli import main
try:
    main()
finally:  # proc(5); what getrusage(2) says begins with what the parent had
    status = open("/proc/self/status").read()
    print("most of memory:", re.search(r"VmHWM:\\s+(\\d+) kB", status)[1], "kB", file=sys.stderr)
"""


def measured(*words: str) -> list[str]:
    """Return a command line of Flowerbed that tells its memory at the end."""
    return [sys.executable, "-c", _SCRIPT, *words]


def megabytes(said: str) -> float:
    """Return what it told, in millions of bytes."""
    found = re.findall(r"^most of memory: (\d+) kB$", said, re.MULTILINE)
    return int(found[-1]) * 1024 / 1e6
