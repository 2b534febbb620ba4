"""`run`: a run of three rounds on a federation that is up, ours and by hand in turn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from bench.by_hand import ByHand
from bench.commands import Done, timed
from bench.control import Control
from bench.cost import Cost, idle_percent
from bench.figures import Figure, Series
from bench.measures import Task
from bench.memory import memory_of
from bench.workplace import last, say
from flowerbed.flower.release import Minor

PAIRS = 5
OF_STOCK = 0.1
OF_STOCK_OVER_GRPC = 0.07
"""Releases whose SuperLink speaks gRPC spend less on each request."""
HTTP_SINCE = Minor(1, 40)
TYPING_TO_PROMPT_SECONDS = 6.0
BESIDE_SECONDS = 1.0
PEAK_MB = 500.0
SAMPLE_SECONDS = 0.25
IDLE_SECONDS = 20.0

PARTS = ("whole", "flower", "beside", "before", "after", "cpu", "peak")


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
        idle_cpu = [idle_percent(found(), IDLE_SECONDS) for found in (ours.programs, hand.programs)]
        idle = [memory_of(found()).pss for found in (ours.programs, hand.programs)]
        for number in range(task.times(PAIRS)):
            cost = Cost(ours.programs)
            done = timed(ours.command("run"), cwd=ours.app, sample=cost.sample, every=SAMPLE_SECONDS)
            record = last(done, "run")
            verdicts.append(str(record["verdict"]))
            _take(parts["ours"], done, control.runs()[str(record["flower_id"])], cost)
            cost = Cost(hand.programs)
            done, run = hand.run(sample=cost.sample, every=SAMPLE_SECONDS)
            _take(parts["hand"], done, hand.control.runs()[run], cost)
            told = (f"{who} {got['whole'][-1]:.2f} s (Flower {got['flower'][-1]:.2f} s)" for who, got in parts.items())
            say(f"run {number + 1}: " + ", ".join(told))
    finally:
        hand.down()
        control.close()
        ours.down()
    mine, baseline = ({part: Series.of(got[part]) for part in PARTS} for got in parts.values())
    limit = OF_STOCK_OVER_GRPC if place.row.minor < HTTP_SINCE else OF_STOCK
    yield Figure(
        "run, Flower's own time",
        "s",
        mine["flower"],
        baseline["flower"],
        "stock",
        comparison="ratio",
        target=f"at most {limit:g} × stock",
        limit=limit,
        judged="comparison",
        note="3 rounds, 2 SuperNodes; from pending to finished, as Flower says. Ours has TLS and keys, stock has none;"
        f" verdicts: {', '.join(verdicts)}",
    )
    yield Figure(
        "run, from typing to prompt",
        "s",
        mine["whole"],
        baseline["whole"],
        "flwr run --stream",
        comparison="ratio",
        target=f"ours at most {TYPING_TO_PROMPT_SECONDS:g} s",
        limit=TYPING_TO_PROMPT_SECONDS,
    )
    yield Figure(
        "run, beside Flower's own time",
        "s",
        mine["beside"],
        baseline["beside"],
        "flwr run --stream",
        comparison="difference",
        target=f"ours at most {BESIDE_SECONDS:g} s",
        limit=BESIDE_SECONDS,
    )
    for part, name in (("before", "until Flower has it"), ("after", "from Flower's end to exit")):
        yield Figure(f"run, {name}", "s", mine[part], baseline[part], "flwr run --stream", comparison="difference")
    yield Figure("run, CPU time of Flower's programs", "s", mine["cpu"], baseline["cpu"], "stock", comparison="ratio")
    yield Figure(
        "run, PSS of Flower's programs at most",
        "MB",
        mine["peak"],
        baseline["peak"],
        "stock",
        comparison="ratio",
        target=f"ours at most {PEAK_MB:g} MB",
        limit=PEAK_MB,
        note=f"sampled every {SAMPLE_SECONDS:g} s; without the commands, our supervisor and the control clients",
    )
    yield Figure(
        "idle, PSS of Flower's programs",
        "MB",
        Series((idle[0],)),
        Series((idle[1],)),
        "stock",
        comparison="ratio",
        note="before the first run",
    )
    yield Figure(
        "idle, CPU of Flower's programs",
        "%",
        Series((idle_cpu[0],)),
        Series((idle_cpu[1],)),
        "stock",
        comparison="ratio",
        target="at most stock's",
        limit=1.0,
        judged="comparison",
        note=f"of one core, over {IDLE_SECONDS:g} s",
    )


def _take(parts: dict[str, list[float]], done: Done, run: dict[str, Any], cost: Cost) -> None:
    parts["flower"].append(run["finished_at"] - run["pending_at"])
    parts["whole"].append(done.seconds)
    parts["beside"].append(done.seconds - parts["flower"][-1])
    parts["before"].append(run["pending_at"] - done.began)
    parts["after"].append(done.ended - run["finished_at"])
    parts["cpu"].append(cost.cpu())
    parts["peak"].append(cost.peak)
