"""Watching SuperNodes at work, with real processes that say what a SuperNode says."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from flowerbed import processes
from flowerbed.local.layout import StateFolder
from flowerbed.local.plan import PlannedComponent, PlannedUnit
from flowerbed.local.unit import UnitRunner
from flowerbed.local.work import WorkWatcher
from flowerbed_inside.unit import wedge

MARKS = wedge.Marks.compiled("Received: ", "Sent|Failed", "Failed")
TAKES_ONE_THE_FIRST_TIME = """\
import pathlib, time
first = not pathlib.Path("started").exists()
pathlib.Path("started").touch()
print("Here I am", flush=True)
while not pathlib.Path("go").exists():
    time.sleep(0.01)
print("Received: train message" if first else "Starting Flower SuperNode", flush=True)
time.sleep(600)
"""
PATIENCE = 30.0


class Bed:
    """One SuperNode's unit and its watcher, in a folder."""

    def __init__(self, folder: Path, script: str) -> None:
        self.folder = StateFolder(folder)
        self.folder.create()
        self.events: list[tuple[str, str, str]] = []
        component = PlannedComponent(
            name="site-0",
            role="supernode",
            argv=[sys.executable, "-c", script],
            env={"PATH": os.defpath},
            ports={},
            dials=[],
            own=[],
        )
        self.runner = UnitRunner(
            PlannedUnit("site-0", [component]),
            self.folder,
            minor="1.42",
            report=self.report,
            on_start=lambda _: None,
            on_end=lambda _: None,
        )
        self.watcher = WorkWatcher(self.folder, self.report)

    def report(self, kind: str, subject: str, message: str) -> None:
        self.events.append((kind, subject, message))

    def look(self) -> None:
        """Look, as the supervisor does each second."""
        self.watcher.look({"site-0": self.runner}, processes.children_by_parent(), MARKS)

    async def takes_a_message(self) -> int:
        """Wait until the SuperNode has taken a message, and look at it before and after; return its process."""
        await self.says("Here I am")
        self.look()
        (self.folder.home("site-0") / "go").touch()
        await self.says("Received: ")
        self.look()
        return self.runner.pids["site-0"]

    async def says(self, text: str) -> None:
        """Wait until the SuperNode has said something."""
        log, deadline = self.folder.log("site-0"), time.monotonic() + PATIENCE
        while not (log.exists() and text in log.read_text()):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)


async def replaced_between_two_looks(bed: Bed) -> None:
    running = asyncio.create_task(bed.runner.keep_running())
    try:
        first = await bed.takes_a_message()
        os.kill(first, signal.SIGKILL)
        os.waitpid(first, 0)
        bed.runner.exited(first, -signal.SIGKILL)
        await bed.says("Starting Flower SuperNode")
        assert bed.runner.pids["site-0"] != first
        bed.look()
    finally:
        await bed.runner.stop()
        await running


def test_a_fresh_supernode_does_not_owe_what_its_predecessor_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wedge, "WEDGED_AFTER_SECONDS", 0.01)
    bed = Bed(tmp_path, TAKES_ONE_THE_FIRST_TIME)
    asyncio.run(replaced_between_two_looks(bed))
    assert [event for event in bed.events if event[0] == "wedge"] == []


async def wedged(bed: Bed) -> None:
    running = asyncio.create_task(bed.runner.keep_running())
    try:
        await bed.takes_a_message()
        await asyncio.sleep(0.02)
        bed.look()
        bed.look()
        await bed.says("Starting Flower SuperNode")
    finally:
        await bed.runner.stop()
        await running


def test_a_wedged_supernode_is_restarted_and_reported_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wedge, "WEDGED_AFTER_SECONDS", 0.01)
    bed = Bed(tmp_path, TAKES_ONE_THE_FIRST_TIME)
    asyncio.run(wedged(bed))
    [said] = [event for event in bed.events if event[0] == "wedge"]
    assert said == ("wedge", "site-0", "waits for the reply of a ClientApp that is gone; its unit is restarted")


def test_a_program_whose_log_cannot_be_written_is_started_all_the_same(tmp_path: Path) -> None:
    bed = Bed(tmp_path, 'import pathlib\npathlib.Path("started").touch()')
    bed.folder.log("site-0").mkdir()

    async def started() -> None:
        running = asyncio.create_task(bed.runner.keep_running())
        try:
            deadline = time.monotonic() + PATIENCE
            while not (bed.folder.home("site-0") / "started").exists():
                assert time.monotonic() < deadline
                await asyncio.sleep(0.02)
        finally:
            await bed.runner.stop()
            await running

    asyncio.run(started())
