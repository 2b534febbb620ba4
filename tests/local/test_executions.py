"""Hearing how the processes of apps begin, from real processes that say what a SuperExec's launcher says."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

from flowerbed.local.executions import ExecutionWatcher
from flowerbed.local.layout import StateFolder
from flowerbed.local.logs import size
from flowerbed.local.plan import PlannedComponent, PlannedUnit
from flowerbed.local.unit import UnitRunner
from flowerbed_inside.launch import execution

NAME = "site-0-superexec"
SAYS_WHAT_IT_FINDS = """\
import pathlib, sys, time
said = 0
while True:
    for line in sorted(pathlib.Path().glob("*.line"))[said:]:
        sys.stderr.write(line.read_text())
        sys.stderr.flush()
        said += 1
    time.sleep(0.01)
"""
PATIENCE = 30.0


class Bed:
    """One SuperExec's unit and its watcher, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = StateFolder(folder)
        self.folder.create()
        self.events: list[tuple[str, str, str]] = []
        argv = [sys.executable, "-c", SAYS_WHAT_IT_FINDS]
        component = PlannedComponent(NAME, "superexec-clientapp", argv, {"PATH": os.defpath}, {}, [], [])
        self.runner = UnitRunner(
            PlannedUnit("site-0", [component]),
            self.folder,
            minor="1.42",
            report=self.report,
            on_start=lambda _: None,
            on_end=lambda _: None,
        )
        self.watcher = ExecutionWatcher(self.folder, self.report)
        self._lines = 0

    def report(self, kind: str, subject: str, message: str) -> None:
        self.events.append((kind, subject, message))

    async def says(self, text: str) -> tuple[str, str, str]:
        """Have the SuperExec say something; return what is known then, and what `status` remarks."""
        home, log = self.folder.home(NAME), self.folder.log(NAME)
        wanted = size(log) + len(text.encode())
        whole = home / f"{self._lines:03}.part"
        whole.write_text(text)
        whole.rename(whole.with_suffix(".line"))
        self._lines += 1
        deadline = time.monotonic() + PATIENCE
        while size(log) < wanted:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        return self.known()

    def known(self) -> tuple[str, str, str]:
        """Look, as the supervisor does, and return what is known."""
        self.watcher.look({"site-0": self.runner})
        [status] = self.runner.statuses()
        return status.execution, status.execution_why, status.remark


def line(mode: str, why: str) -> str:
    return f"[flowerbed: processes of apps are {mode}: {why}]\n"


async def heard(bed: Bed) -> None:
    running = asyncio.create_task(bed.runner.keep_running())
    try:
        while not bed.runner.running:
            await asyncio.sleep(0.01)
        assert bed.known() == ("", "", "")
        assert await bed.says("Starting Flower SuperExec\n") == ("", "", "")
        assert await bed.says(line("Warm", "Flower is loaded")) == ("Warm", "Flower is loaded", "")
        assert await bed.says("an app says [flowerbed: processes of") == ("Warm", "Flower is loaded", "")
        short = "Flower is loaded, but no libraries: torch: ImportError: é"
        assert await bed.says(f" nothing]\n{line('Warm', short)}") == ("Warm", short, f"Warm: {short}")
        before, after = line("Isolated", "there are 5 threads")[:30], line("Isolated", "there are 5 threads")[30:]
        assert await bed.says(before) == ("Warm", short, f"Warm: {short}")
        isolated = ("Isolated", "there are 5 threads", "Isolated: there are 5 threads")
        assert await bed.says(after) == isolated
        assert bed.known() == isolated

        first = bed.runner.pids[NAME]
        for path in bed.folder.home(NAME).glob("*.line"):
            path.unlink()
        os.kill(first, signal.SIGKILL)
        os.waitpid(first, 0)
        bed.runner.exited(first, -signal.SIGKILL)
        while bed.runner.pids.get(NAME, first) == first:
            await asyncio.sleep(0.01)
        assert bed.known() == ("", "", "")
        assert await bed.says(line("Isolated", "there are 5 threads")) == isolated
        assert await bed.says(line("Isolated", execution.ASKED_FOR)) == ("Isolated", execution.ASKED_FOR, "")
    finally:
        await bed.runner.stop()
        await running


def test_what_a_superexec_said_last_holds_until_another_process_takes_its_place(tmp_path: Path) -> None:
    bed = Bed(tmp_path)
    asyncio.run(heard(bed))
    told = [event for event in bed.events if event[0] == "execution"]
    assert told == [
        (
            "execution",
            NAME,
            "processes of its apps are Warm: Flower is loaded, but no libraries: torch: ImportError: é",
        ),
        ("execution", NAME, "processes of its apps are Isolated: there are 5 threads"),
    ]
