"""What a unit's processes are given, read back from the kernel."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest

from flowerbed.local.layout import StateFolder
from flowerbed.local.plan import PlannedComponent, PlannedUnit
from flowerbed.local.unit import UnitRunner
from flowerbed.topology.model import Role

# As a SuperExec does: its ClientApp is a child, in the same session.
SUPEREXEC = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("child", child.pid, flush=True)
child.wait()
"""
ROLES = (Role.SUPERNODE, Role.CLIENTAPP_SUPEREXEC, Role.CLIENTAPP_SUPEREXEC)


def sessions_share_processors() -> bool:
    try:
        return "autogroup" in Path("/proc/self/autogroup").read_text()
    except OSError:
        return False


def niceness(pid: int) -> tuple[int, int]:
    """Return the nice value of a process, and that of its session."""
    return os.getpriority(os.PRIO_PROCESS, pid), int(Path(f"/proc/{pid}/autogroup").read_text().split()[-1])


async def of_children(runner: UnitRunner, folder: StateFolder) -> list[tuple[int, int]]:
    """Return how nice each component's child is, once all are there and no longer as nice as this process."""
    running = asyncio.create_task(runner.keep_running())
    deadline = time.monotonic() + 30
    try:
        while True:
            logs = [folder.log(component.name) for component in runner.unit.components]
            said = [log.read_text() if log.exists() else "" for log in logs]
            if all("child" in text for text in said):
                found = [niceness(int(text.split()[1])) for text in said]
                if 0 not in [session for _, session in found[1:]] or time.monotonic() > deadline:
                    return found
            await asyncio.sleep(0.02)
    finally:
        await runner.stop()
        await running


@pytest.mark.skipif(not sessions_share_processors(), reason="this kernel does not share processors among sessions")
def test_clientapps_give_way_also_where_processors_are_shared_among_sessions(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    folder.create()
    components = [
        PlannedComponent(
            name=f"one-{number}",
            role=role.value,
            argv=[sys.executable, "-c", SUPEREXEC],
            env={"PATH": os.defpath},
            ports={},
            dials=[],
            own=[],
        )
        for number, role in enumerate(ROLES)
    ]
    runner = UnitRunner(
        PlannedUnit("one", components),
        folder,
        minor="1.42",
        report=lambda *_: None,
        on_start=lambda _: None,
        on_end=lambda _: None,
        crowded=True,
    )
    mine = os.getpriority(os.PRIO_PROCESS, 0)
    assert asyncio.run(of_children(runner, folder)) == [(mine, 0), (mine + 10, 10), (mine + 10, 10)]
