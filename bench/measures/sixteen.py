"""Sixteen SuperNodes on one machine: do they work, and at what cost."""

from __future__ import annotations

from collections.abc import Iterator

from bench.by_hand import ByHand
from bench.commands import timed
from bench.figures import Figure, Series
from bench.measures import Task
from bench.measures.memory import tool_processes
from bench.memory import memory_of, resident
from bench.workplace import last, say
from flowerbed import processes

SUPERNODES = 16
RUN = ("run", "--run-config", f"num-server-rounds=1 min-nodes={SUPERNODES}")


def measure(task: Task) -> Iterator[Figure]:
    """Bring sixteen up by hand and with Flowerbed, once each, and run one round on ours with all of them."""
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
    most = 0.0
    try:
        status = ours.status()
        guard = tool_processes(ours)["guard"]

        def everything() -> list[int]:
            return [guard, *processes.descendants(guard)]

        def sample() -> None:
            nonlocal most
            most = max(most, resident(everything()))

        idle = memory_of(everything())
        run = timed(ours.command(*RUN), cwd=ours.app, sample=sample, every=1.0)
    finally:
        ours.down()
    record = last(run, "run")
    exchanges = ", ".join(
        f"{item['kind']} {item['results']} of {item['sampled']}" for item in record["rounds"][0]["exchanges"]
    )
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
        "16 SuperNodes, run of 1 round",
        "s",
        Series((run.seconds,)),
        target="works",
        holds=record["verdict"] == "succeeded",
        note=f"verdict {record['verdict']}: {exchanges}",
        extra={"verdict": record["verdict"]},
    )
    for kind in ("rss", "pss"):
        yield Figure(
            f"16 SuperNodes, idle, {kind.upper()} of all",
            "MB",
            Series((getattr(idle, kind),)),
            Series((getattr(idle_by_hand, kind),)),
            "by hand",
            comparison="difference",
        )
    yield Figure("16 SuperNodes, during the run, RSS of all at most", "MB", Series((most,)))
