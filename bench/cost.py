"""What a federation's processes cost together: memory at rest and at most, and CPU time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from bench.memory import memory_of

_TICKS = os.sysconf("SC_CLK_TCK")
_UTIME = 11
"""The first of four fields of /proc/PID/stat, after the name: user and system time, own and of children that ended."""


class Cost:
    """Watches processes while something happens.

    Parameters
    ----------
    find : callable
        Returns the processes of the moment.
    """

    def __init__(self, find: Callable[[], Iterable[int]]) -> None:
        self._find = find
        self.peak = 0.0
        """The most proportional memory (PSS) that all had together, in MB."""
        self._began = cpu_seconds(find())

    def sample(self) -> None:
        """Look at the memory once."""
        self.peak = max(self.peak, memory_of(self._find()).pss)

    def cpu(self) -> float:
        """Return the CPU seconds since the start; what a killed child used is missed where nobody waited for it."""
        return cpu_seconds(self._find()) - self._began


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the CPU time of processes and of their children that ended, in seconds."""
    ticks = 0
    for pid in pids:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:  # gone
            continue
        fields = stat[stat.rindex(")") + 2 :].split()
        ticks += sum(int(field) for field in fields[_UTIME : _UTIME + 4])
    return ticks / _TICKS


def idle_percent(pids: Iterable[int], seconds: float) -> float:
    """Return how much of a core processes take while nothing happens, in percent."""
    pids = list(pids)
    before, began = cpu_seconds(pids), time.monotonic()
    time.sleep(seconds)
    return 100 * (cpu_seconds(pids) - before) / (time.monotonic() - began)
