"""Memory of the tool's own processes, while nothing happens and during a run."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

from bench.commands import timed
from bench.figures import Figure, Series
from bench.measures import Task
from bench.memory import Memory, memory_of, peak
from bench.workplace import say

TARGET_MB = 60.0
SETTLE_SECONDS = 5.0
SAMPLES = 5
KINDS = ("rss", "pss")
NOTES = {("control client", "idle", "rss"): "runs in Flower's environment, and has imported Flower"}


def measure(task: Task) -> Iterator[Figure]:
    """Sample supervisor, guard and control client: idle, then during one run of three rounds."""
    ours = task.place.ours(task.place.app("memory"))
    ours.up()
    try:
        pids = ours.tool_processes()
        time.sleep(SETTLE_SECONDS)
        baseline = [_bare_python() for _ in range(SAMPLES)]
        bare = {kind: Series((Series.of(getattr(item, kind) for item in baseline).median,)) for kind in KINDS}
        idle: dict[str, list[Memory]] = {name: [] for name in pids}
        running: dict[str, list[Memory]] = {name: [] for name in pids}

        def sample(into: dict[str, list[Memory]]) -> None:
            for name, pid in pids.items():
                into[name].append(memory_of([pid]))

        for _ in range(SAMPLES):
            sample(idle)
            time.sleep(0.2)
        timed(ours.command("run"), cwd=ours.app, sample=lambda: sample(running))
        peaks = {name: peak(pid) for name, pid in pids.items()}
        flower = memory_of(item["pid"] for item in ours.status()["components"])
    finally:
        ours.down()
    say(f"memory: supervisor {peaks['supervisor']:.1f} MB at most")
    yield Figure(
        "supervisor, RSS at most",
        "MB",
        Series((peaks["supervisor"],)),
        bare["rss"],
        "a bare Python",
        comparison="difference",
        target=f"under {TARGET_MB:g} MB",
        limit=TARGET_MB,
        note="the most that it ever had (VmHWM), from `up` to after a run",
    )
    for name in pids:
        for when, samples in (("idle", idle[name]), ("during a run", running[name])):
            for kind in KINDS:
                yield Figure(
                    f"{name}, {when}, {kind.upper()}",
                    "MB",
                    Series.of(getattr(item, kind) for item in samples),
                    bare[kind],
                    "a bare Python",
                    comparison="difference",
                    note=NOTES.get((name, when, kind), ""),
                )
    yield Figure(
        "Flower's programs, after a run, PSS",
        "MB",
        Series((flower.pss,)),
        note=f"SuperLink, 2 SuperNodes, 3 SuperExecs; RSS {flower.rss:.1f} MB",
    )


def _bare_python() -> Memory:
    """Return the memory of the tool's Python with nothing imported."""
    process = subprocess.Popen(
        [sys.executable, "-c", "print(flush=True); input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    found = memory_of([process.pid])
    process.communicate(b"\n")
    return found
