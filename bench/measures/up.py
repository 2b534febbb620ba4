"""`up`: from the command's start until everything is observed ready, with a warm environment."""

from __future__ import annotations

from collections.abc import Iterator

from bench.by_hand import ByHand
from bench.figures import Figure, Series
from bench.measures import Task
from bench.workplace import say

TARGET = 0.6


def measure(task: Task) -> Iterator[Figure]:
    """Bring the same federation up in three ways in turn, each on what its own last time left behind."""
    place = task.place
    place.warm()
    app = place.app("up")
    ours = place.ours(app)
    hand = ByHand(place, "up-by-hand", app)
    at_once = ByHand(place, "up-at-once", app)
    seconds: dict[str, list[float]] = {"ours": [], "hand": [], "at once": []}
    restarts = 0
    for number in range(task.times(5) + 1):
        seconds["ours"].append(ours.up().seconds)
        restarts += sum(component["restarts"] for component in ours.status()["components"])
        ours.down()
        seconds["hand"].append(_up(hand, at_once=False))
        seconds["at once"].append(_up(at_once, at_once=True))
        say(
            f"up {number or 'for the first time'}: "
            + ", ".join(f"{name} {got[-1]:.2f} s" for name, got in seconds.items())
        )
    again = {name: Series.of(got[1:]) for name, got in seconds.items()}
    first = {name: Series.of(got[:1]) for name, got in seconds.items()}
    yield Figure(
        "up",
        "s",
        again["ours"],
        again["hand"],
        "by hand",
        comparison="ratio",
        target=f"at most {TARGET:g} × by hand",
        limit=TARGET,
        judged="comparison",
        note="by hand: the SuperLink, then, once its ports accept connections, all others; its control client is warm"
        f" before the clock starts. Restarts of components during ours: {restarts}",
    )
    yield Figure("up, against all at once", "s", again["ours"], again["at once"], "all at once", comparison="ratio")
    yield Figure(
        "up, the first of an app",
        "s",
        first["ours"],
        first["hand"],
        "by hand",
        comparison="ratio",
        note="ours builds the FAB and imports the app once, to refuse a broken one; by hand nothing does. No database"
        " is there yet",
    )


def _up(hand: ByHand, *, at_once: bool) -> float:
    try:
        return hand.up(at_once=at_once)
    finally:
        hand.down()
