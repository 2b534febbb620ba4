"""Runs of others are taken into history once, never one of ours, and the SuperLink is asked for few."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from flowerbed.local import adopting
from flowerbed.local.adopting import Adopting
from flowerbed.local.client import ClientError
from flowerbed.local.layout import StateFolder
from flowerbed.local.notes import Notes
from flowerbed.local.store import Store
from flowerbed.runs.records import Phase, RunRecord


class _Client:
    """A SuperLink with some runs; another may come while it answers."""

    def __init__(self) -> None:
        self.runs: list[str] = []
        self.asked: list[int | None] = []
        self.answering = asyncio.Event()
        self.answering.set()

    def take_asked(self) -> list[int | None]:
        asked, self.asked = self.asked, []
        return asked

    async def ask(self, op: str, *, timeout: float, newest: int | None) -> list[dict[str, Any]]:
        assert op == "runs"
        self.asked.append(newest)
        listed = self.runs[-newest:] if newest else list(self.runs)
        await self.answering.wait()
        return [{"run": run, "status": "running", "app": "a/b==1", "config": {}, "pending_at": 1.0} for run in listed]


class _Plan:
    def components(self) -> list[Any]:
        return []


class _Around:
    def __init__(self, folder: Path) -> None:
        self.folder = StateFolder(folder)
        self.folder.create()
        self.folder.superlink_answered.touch()
        self.history = Store(self.folder.database, create=True)
        self.store = Notes(self.history)
        self.plan: Any = _Plan()
        self.client: Any = _Client()

    def report(self, kind: str, subject: str, message: str) -> None:
        assert (kind, message.split()[0]) == ("run", self.store.runs()[int(subject) - 1].flower_id)

    def seen(self) -> Any:
        raise AssertionError

    def end_serverapps(self, cause: str) -> None:
        raise AssertionError(cause)


class _Followed:
    def lose(self, why: str) -> None:
        raise AssertionError(why)


class _Bed:
    def __init__(self, folder: Path) -> None:
        self.around = _Around(folder)
        self.client = self.around.client
        self.adopting = Adopting(self.around, self.follow)
        self.followed: list[str | None] = []

    def follow(self, record: RunRecord, marks: dict[str, int], timeout: float | None) -> Any:
        assert (record.foreign, timeout) == (True, None)
        self.followed.append(record.flower_id)
        return _Followed()


def test_a_run_of_somebody_else_is_followed_once(tmp_path: Path) -> None:
    async def story() -> None:
        bed = _Bed(tmp_path)
        bed.client.runs = ["17"]
        await asyncio.gather(bed.adopting.look(), bed.adopting.look())
        await bed.adopting.look()
        assert bed.followed == ["17"]
        assert [run.flower_id for run in bed.around.store.runs()] == ["17"]

    asyncio.run(story())


def test_a_run_that_we_are_submitting_is_never_taken_for_somebody_elses(tmp_path: Path) -> None:
    """The SuperLink lists it before it has said its id."""

    async def story() -> None:
        bed = _Bed(tmp_path)
        bed.client.runs = ["16", "17"]
        bed.client.answering.clear()
        looking = asyncio.create_task(bed.adopting.look())
        await asyncio.sleep(0)
        with bed.adopting.submitting():
            bed.client.answering.set()
            await looking
            await bed.adopting.look()
            assert bed.followed == []
            number = bed.around.history.add_run(app="a", config={}, timeout=None, submitted_at=1.0)
            record = bed.around.store.run(number)
            assert record is not None
            bed.around.store.write_run(RunRecord(number, "17", record.app, record.phase))
        await bed.adopting.look()
        assert bed.followed == ["16"]

    asyncio.run(story())


def test_as_few_are_asked_for_as_show_that_there_is_nothing_new(tmp_path: Path) -> None:
    async def story() -> None:
        bed = _Bed(tmp_path)
        bed.client.runs = ["1", "2", "3"]
        await bed.adopting.look()
        assert bed.client.take_asked() == [None]  # at the start, of what history has of before
        await bed.adopting.look()
        assert bed.client.take_asked() == [1]

        bed.client.runs += ["4", "5"]  # theirs, and then ours
        with bed.adopting.submitting():
            bed.client.runs.append("6")
            bed.around.store.adopt_run(RunRecord(0, "6", "a", Phase.PENDING))
        await bed.adopting.look()
        assert bed.client.take_asked() == [2, 20]
        bed.client.runs += [str(number) for number in range(7, 37)]
        await bed.adopting.look()
        assert bed.client.take_asked() == [1, 20, None]
        await bed.adopting.look()
        assert bed.client.take_asked() == [1]
        assert bed.followed == [run for run in bed.client.runs if run != "6"]

    asyncio.run(story())


def test_what_comes_while_the_superlink_answers_is_found_at_the_next_look(tmp_path: Path) -> None:
    async def story() -> None:
        bed = _Bed(tmp_path)
        bed.client.runs = ["1"]
        await bed.adopting.look()
        bed.client.answering.clear()
        looking = asyncio.create_task(bed.adopting.look())
        await asyncio.sleep(0)
        bed.client.runs += ["2", "3"]  # theirs, and then ours
        with bed.adopting.submitting():
            bed.around.store.adopt_run(RunRecord(0, "3", "a", Phase.PENDING))
        bed.client.answering.set()
        await looking
        assert bed.followed == ["1"]
        await bed.adopting.look()
        assert bed.followed == ["1", "2"]

    asyncio.run(story())


def test_a_superlink_that_does_not_answer_is_asked_again_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adopting, "RETRY_SECONDS", 0.0)

    async def story() -> None:
        bed = _Bed(tmp_path)
        bed.client.runs, answer = ["1"], bed.client.ask

        async def away(*_: object, **__: object) -> None:
            bed.client.ask = answer
            raise ClientError("unavailable", "away")

        bed.client.ask = away
        looking = asyncio.create_task(bed.adopting.keep_looking())
        while not bed.followed:
            await asyncio.sleep(0)
        looking.cancel()
        assert bed.followed == ["1"]

    asyncio.run(story())
