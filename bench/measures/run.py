"""`run`: what the command takes beside what Flower takes, on a federation that is up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from bench.by_hand import ByHand
from bench.commands import Done, timed
from bench.control import Control
from bench.figures import Figure, Series
from bench.measures import Task
from bench.workplace import Ours, last, say

TARGET_SECONDS = 1.0
PAIRS = 2
"""A run takes most of a minute."""

PARTS = ("whole", "before", "after", "flower")


def measure(task: Task) -> Iterator[Figure]:
    """Run the app with `flowerbed run` and with `flwr run --stream` in turn, on a federation each."""
    place = task.place
    app = place.app("run")
    ours = place.ours(app)
    hand = ByHand(place, "run-by-hand", app)
    ours.up()
    plan = ours.plan
    control = Control(plan.client, plan.client_env, log=ours.state.log("bench-control-client"))
    parts: dict[str, dict[str, list[float]]] = {"ours": defaultdict(list), "hand": defaultdict(list)}
    verdicts: list[str] = []
    try:
        hand.up()
        for number in range(task.times(PAIRS)):
            done, run, verdict = _run(ours)
            verdicts.append(verdict)
            _take(parts["ours"], done, control.runs()[run])
            done, run = hand.run()
            _take(parts["hand"], done, hand.control.runs()[run])
            told = (f"{who} {got['whole'][-1]:.2f} s (Flower {got['flower'][-1]:.2f} s)" for who, got in parts.items())
            say(f"run {number + 1}: " + ", ".join(told))
    finally:
        hand.down()
        control.close()
        ours.down()
    mine, baseline = ({part: Series.of(got[part]) for part in PARTS} for got in parts.values())
    yield Figure(
        "run, beside Flower's own time",
        "s",
        mine["whole"],
        baseline["whole"],
        "flwr run --stream",
        comparison="difference",
        target=f"ours at most {TARGET_SECONDS:g} s",
        limit=TARGET_SECONDS,
        judged="ours",
        note=f"3 rounds, 2 SuperNodes; wall time less what Flower says the run took; verdicts: {', '.join(verdicts)}",
    )
    for part, name in (("before", "until Flower has it"), ("after", "from Flower's end to exit")):
        yield Figure(f"run, {name}", "s", mine[part], baseline[part], "flwr run --stream", comparison="difference")
    yield Figure(
        "run, Flower's own time",
        "s",
        mine["flower"],
        baseline["flower"],
        "flwr run --stream",
        comparison="difference",
        note="Flower polls every 3 s, so a run differs from the next by as much",
    )


def _run(ours: Ours) -> tuple[Done, str, str]:
    done = timed(ours.command("run"), cwd=ours.app)
    record = last(done, "run")
    return done, str(record["flower_id"]), str(record["verdict"])


def _take(parts: dict[str, list[float]], done: Done, run: dict[str, Any]) -> None:
    flower = run["finished_at"] - run["pending_at"]
    parts["flower"].append(flower)
    parts["whole"].append(done.seconds - flower)
    parts["before"].append(run["pending_at"] - done.began)
    parts["after"].append(done.ended - run["finished_at"])
