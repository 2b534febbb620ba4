"""`--help`: how long the door takes to open."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from bench.commands import timed
from bench.figures import Figure, Series
from bench.measures import Task
from bench.workplace import FLOWERBED

TARGET_SECONDS = 0.3
TIMES = 10


def measure(task: Task) -> Iterator[Figure]:
    """Ask for help, and have the same Python do nothing, in turn."""
    commands = {"help": [FLOWERBED, "--help"], "nothing": [sys.executable, "-c", "pass"]}
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(TIMES + 1):
        for name, argv in commands.items():
            seconds[name].append(timed(argv, cwd=task.place.root).seconds)
    ours, baseline = (Series.of(got[1:]) for got in seconds.values())  # the first fills the page cache
    yield Figure(
        "flowerbed --help",
        "s",
        ours,
        baseline,
        "python -c pass",
        comparison="difference",
        target=f"under {TARGET_SECONDS:g} s",
        limit=TARGET_SECONDS,
    )
