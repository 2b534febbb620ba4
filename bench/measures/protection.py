"""TLS and the identity of SuperNodes: what the same job takes with both, which is the default, and without."""

from __future__ import annotations

from collections.abc import Iterator

from bench.commands import timed
from bench.figures import Figure, Series
from bench.measures import Task
from bench.workplace import Ours, last, say

TARGET_SECONDS = 1.0
PAIRS = 3


def measure(task: Task) -> Iterator[Figure]:
    """Run the app in turn on two federations, both up all the while."""
    place = task.place
    place.warm()
    both: dict[str, Ours] = {
        "protected": place.ours(place.app("protected")),
        "plain": place.ours(place.app("plain", protected=False)),
    }
    seconds: dict[str, list[float]] = {name: [] for name in both}
    up: dict[str, list[float]] = {name: [] for name in both}
    verdicts: list[str] = []
    for ours in both.values():
        ours.up()  # what is made once for each app
        ours.down()
    for name, ours in both.items():
        up[name].append(ours.up().seconds)
    for number in range(task.times(PAIRS)):
        for name, ours in both.items():
            done = timed(ours.command("run"), cwd=ours.app)
            seconds[name].append(done.seconds)
            verdicts.append(str(last(done, "run")["verdict"]))
        say(f"run {number + 1}: " + ", ".join(f"{name} {got[-1]:.2f} s" for name, got in seconds.items()))
    for ours in both.values():
        ours.down()
    yield Figure(
        "run with TLS and keys",
        "s",
        Series.of(seconds["protected"]),
        Series.of(seconds["plain"]),
        "without",
        comparison="difference",
        target=f"at most {TARGET_SECONDS:g} s more",
        limit=TARGET_SECONDS,
        judged="comparison",
        note=f"the whole command, 3 rounds, 2 SuperNodes; verdicts: {', '.join(sorted(set(verdicts)))}; Flower polls"
        " every 3 s, so a run differs from the next by as much",
    )
    yield Figure(
        "up with TLS and keys",
        "s",
        Series.of(up["protected"]),
        Series.of(up["plain"]),
        "without",
        comparison="difference",
        note="once each, with what the time before had made",
    )
