"""`demo`: what a newcomer waits for, from typing to prompt, with everything in the cache."""

from __future__ import annotations

from collections.abc import Iterator

from bench.commands import timed
from bench.figures import Figure, Series
from bench.measures import Task
from bench.workplace import FLOWERBED, last, say

TARGET_SECONDS = 15.0
TIMES = 5


def measure(task: Task) -> Iterator[Figure]:
    """Run `flowerbed demo` several times: new app, up, three rounds, verdict, down."""
    task.place.warm()
    folder = task.place.root
    seconds, verdicts = [], []
    argv = [FLOWERBED, "demo", "--flower", str(task.place.row.minor), "--into", str(folder / "demo"), "--json"]
    for number in range(task.times(TIMES)):
        done = timed(argv, cwd=folder)
        seconds.append(done.seconds)
        verdicts.append(str(last(done, "run")["verdict"]))
        say(f"demo {number + 1}: {done.seconds:.2f} s")
    yield Figure(
        "demo, from typing to prompt",
        "s",
        Series.of(seconds),
        target=f"at most {TARGET_SECONDS:g} s",
        limit=TARGET_SECONDS,
        note=f"verdicts: {', '.join(verdicts)}",
    )
