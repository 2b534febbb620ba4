"""Sixteen SuperNodes on one machine: do they work, and at what cost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench.by_hand import ByHand
from bench.commands import timed
from bench.cost import Cost
from bench.figures import Figure, Series
from bench.measures import Task
from bench.memory import memory_of
from bench.workplace import last, say

SUPERNODES = 16
RUN = ("run", "--run-config", f"num-server-rounds=3 min-nodes={SUPERNODES}")
RUNS = 10
SECONDS = 27.0
IDLE_MB = 1_300.0


def measure(task: Task) -> Iterator[Figure]:
    """Bring sixteen up by hand and with Flowerbed, once each, and run three rounds on ours, ten times."""
    place = task.place
    place.warm()
    app = place.app("sixteen", supernodes=SUPERNODES)
    hand = ByHand(place, "sixteen-by-hand", app)
    try:
        by_hand = hand.up()
        idle_by_hand = memory_of(hand.pids)
    finally:
        hand.down()
    say(f"sixteen, by hand: ready after {by_hand:.1f} s")
    ours = place.ours(app)
    up = ours.up()
    say(f"sixteen, ours: ready after {up.seconds:.1f} s")
    try:
        status = ours.status()
        idle = memory_of(ours.programs())
        cost = Cost(ours.programs)
        runs = [timed(ours.command(*RUN), cwd=ours.app, sample=cost.sample, every=1.0)]
        runs += [timed(ours.command(*RUN), cwd=ours.app) for _ in range(task.times(RUNS) - 1)]
    finally:
        ours.down()
    records = [last(run, "run") for run in runs]
    yield Figure(
        "16 SuperNodes, up",
        "s",
        Series((up.seconds,)),
        Series((by_hand,)),
        "by hand",
        comparison="ratio",
        note=f"once each, ours with its import check; {status['nodes_online']} of {status['nodes_expected']} SuperNodes"
        f" online, {status['superexecs_connected']} of {status['superexecs_expected']} SuperExecs connected",
    )
    yield Figure(
        "16 SuperNodes, 3 rounds, from typing to prompt",
        "s",
        Series.of(run.seconds for run in runs),
        target=f"at most {SECONDS:g} s",
        limit=SECONDS,
        note="stock took 185 s on a quiet machine, measured apart",
    )
    lost = [exchange for record in records for exchange in _short(record)]
    yield Figure(
        "16 SuperNodes, replies lost",
        "",
        Series((float(len(lost)),)),
        target=f"none in {len(runs)} runs",
        holds=not lost and all(record["verdict"] == "succeeded" for record in records),
        note=f"verdicts: {', '.join(record['verdict'] for record in records)}{'; ' if lost else ''}{'; '.join(lost)}",
    )
    yield Figure(
        "16 SuperNodes, idle, PSS of Flower's programs",
        "MB",
        Series((idle.pss,)),
        Series((idle_by_hand.pss,)),
        "by hand",
        comparison="ratio",
        target=f"ours at most {IDLE_MB:g} MB",
        limit=IDLE_MB,
    )
    yield Figure("16 SuperNodes, during the first run, PSS at most", "MB", Series((cost.peak,)))


def _short(record: dict[str, Any]) -> list[str]:
    """Return the exchanges of a run in which a SuperNode did not reply."""
    return [
        f"round {each['number']}: {item['kind']} {item['results']} of {item['sampled']}"
        for each in record["rounds"]
        for item in each["exchanges"]
        if item["results"] < SUPERNODES
    ]
