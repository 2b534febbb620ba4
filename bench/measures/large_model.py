"""`large-model`: one round, train and evaluate, with a model of 100 MB and two SuperNodes."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from bench.by_hand import ByHand
from bench.commands import timed
from bench.control import Control
from bench.cost import Cost
from bench.figures import Figure, Series
from bench.measures import Task
from bench.workplace import last, say

APP = Path(__file__).parent.parent / "apps" / "large_model"
PAIRS = 5
SECONDS = 9.0
PEAK_MB = 2_500.0
SAMPLE_SECONDS = 0.5


def measure(task: Task) -> Iterator[Figure]:
    """Run it with `flowerbed run` and with `flwr run --stream` in turn, on a federation each."""
    place = task.place
    app = place.app("large-model")
    for module in APP.glob("*.py"):
        shutil.copy(module, app / "app_package" / module.name)
    ours = place.ours(app)
    hand = ByHand(place, "large-model-by-hand", app)
    ours.up()
    control = Control(ours.plan.client, ours.plan.client_env, log=ours.state.log("bench-control-client"))
    mine: dict[str, list[float]] = defaultdict(list)
    stock: dict[str, list[float]] = defaultdict(list)
    verdicts: list[str] = []
    try:
        hand.up()
        for number in range(task.times(PAIRS)):
            cost = Cost(ours.programs)
            record = last(timed(ours.command("run"), cwd=app, sample=cost.sample, every=SAMPLE_SECONDS), "run")
            verdicts.append(str(record["verdict"]))
            took = control.runs()[str(record["flower_id"])]
            mine["flower"].append(took["finished_at"] - took["pending_at"])
            mine["peak"].append(cost.peak)
            cost = Cost(hand.programs)
            _, run = hand.run(sample=cost.sample, every=SAMPLE_SECONDS)
            took = hand.control.runs()[run]
            stock["flower"].append(took["finished_at"] - took["pending_at"])
            stock["peak"].append(cost.peak)
            say(f"large model {number + 1}: ours {mine['flower'][-1]:.2f} s, stock {stock['flower'][-1]:.2f} s")
    finally:
        hand.down()
        control.close()
        ours.down()
    yield Figure(
        "model of 100 MB, one round, Flower's own time",
        "s",
        Series.of(mine["flower"]),
        Series.of(stock["flower"]),
        "stock",
        comparison="ratio",
        target=f"ours at most {SECONDS:g} s",
        limit=SECONDS,
        note=f"2 SuperNodes, train and evaluate; verdicts: {', '.join(verdicts)}",
    )
    yield Figure(
        "model of 100 MB, PSS of Flower's programs at most",
        "MB",
        Series.of(mine["peak"]),
        Series.of(stock["peak"]),
        "stock",
        comparison="ratio",
        target=f"ours at most {PEAK_MB:g} MB",
        limit=PEAK_MB,
    )
