"""Following a run whose SuperLink does not answer, or whose log cannot be written.

The SuperLink is a fake, so that it fails to answer at the right moment; `tests/federation/` has real ones.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flowerbed.local import follow
from flowerbed.local.client import ClientError
from flowerbed.local.follow import Followers
from flowerbed.local.layout import StateFolder
from flowerbed.local.notes import Notes
from flowerbed.local.runtime import LocalRuntime
from flowerbed.local.store import Store
from flowerbed.runs.records import RunRecord, Verdict
from flowerbed.runs.waiting import Seen
from flowerbed.topology.model import Role

GOOD = Path(__file__).parents[1] / "runs" / "samples" / "1.41.0-good.log"
FAILS = "Traceback (most recent call last):\nValueError: wrong\n"
PATIENCE = 20.0


class _SuperLink:
    """A SuperLink that takes a run, and answers what a test says."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[], Any]] = {
            "submit": lambda: {"run": "17"},
            "follow": dict,
            "runs": lambda: [self.state],
            "stop": lambda: {"stopped": True},
            "replies": lambda: {"counted": None},
        }
        self.state = {"status": "running", "sub": "", "details": ""}
        self.asked: list[str] = []
        self.on_its_way: asyncio.Event | None = None
        """Until it is set, answers are given but do not arrive."""

    async def ask(self, op: str, **_: object) -> Any:
        self.asked.append(op)
        answer = self.answers[op]()
        await (self.on_its_way.wait() if self.on_its_way else asyncio.sleep(0))
        return answer

    def finishes(self) -> None:
        self.state = {"status": "finished", "sub": "completed", "details": ""}


def silent() -> Any:
    raise ClientError("unavailable", "no answer within 10 s")


class _Plan:
    external: tuple[str, ...] = ()

    def __init__(self, *components: SimpleNamespace) -> None:
        self._components = components

    def components(self) -> list[Any]:
        return list(self._components)

    def count(self, *_: object) -> int:
        return 2


class _Around:
    def __init__(self, folder: Path) -> None:
        self.folder = StateFolder(folder)
        self.folder.create()
        self.history = Store(self.folder.database, create=True)
        self.store = Notes(self.history)
        self.plan: Any = _Plan()
        self.client: Any = _SuperLink()
        self.ended: list[str] = []
        self.followers = Followers(self)

    def report(self, kind: str, subject: str, message: str) -> None:
        self.store.add_event(kind, subject, message)

    def seen(self) -> Seen:
        return Seen(nodes_online=2, nodes_expected=2)

    def end_serverapps(self, cause: str) -> None:
        self.ended.append(cause)

    async def submit(self, timeout: float | None = None) -> int:
        """Submit a run, and wait until it is seen to run."""
        number = self.history.add_run(app="a", config={}, timeout=timeout, submitted_at=time.time())
        await self.followers.submit(number, "a")
        await self.until(lambda: self.run(number).phase == "running")
        return number

    def logs(self, text: str) -> None:
        self.followers.on_event({"event": "log", "run": "17", "at": 1.0, "text": text})

    async def until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)

    async def verdict(self, number: int) -> RunRecord:
        await self.until(lambda: self.run(number).verdict)
        return self.run(number)

    def run(self, number: int) -> RunRecord:
        record = self.store.run(number)
        assert record is not None
        return record


@pytest.fixture
def around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Around]:
    for name in ("POLL_SECONDS", "RUNNING_POLL_SECONDS"):
        monkeypatch.setattr(follow, name, 0.02)
    monkeypatch.setattr(follow, "DRAIN_SECONDS", 0.1)
    around = _Around(tmp_path)
    yield around
    around.store.close()
    around.history.close()


def test_a_run_that_completed_is_no_loss_because_the_superlink_was_too_busy_to_say_so(around: _Around) -> None:
    async def scenario() -> RunRecord:
        number = await around.submit()
        around.logs(GOOD.read_text())
        around.client.answers["runs"] = silent
        around.followers.serverapp_lost("its process ended without a word")
        asked = around.client.asked.count("runs")
        await around.until(lambda: around.client.asked.count("runs") > asked + 2)
        around.client.finishes()
        around.client.answers["runs"] = lambda: [around.client.state]
        around.followers.on_event({"event": "log-end", "run": "17"})
        return await around.verdict(number)

    run = asyncio.run(scenario())
    assert (run.verdict, run.outcome) == (Verdict.SUCCEEDED, "completed"), run.reason


def test_the_end_of_the_log_says_how_the_run_ended_and_nobody_is_asked_again(around: _Around) -> None:
    async def scenario() -> RunRecord:
        number = await around.submit()
        around.logs(GOOD.read_text())
        around.client.finishes()
        around.client.answers["runs"] = silent
        around.followers.on_event({"event": "log-end", "run": "17", "state": around.client.state})
        return await around.verdict(number)

    run = asyncio.run(scenario())
    assert (run.verdict, run.outcome) == (Verdict.SUCCEEDED, "completed"), run.reason


def test_an_answer_from_before_the_serverapps_end_does_not_make_it_a_loss(around: _Around) -> None:
    async def scenario() -> RunRecord:
        number = await around.submit()
        around.logs(GOOD.read_text())
        around.client.on_its_way = asyncio.Event()
        asked = around.client.asked.count("runs")
        await around.until(lambda: around.client.asked.count("runs") > asked)  # and was answered with "running"
        around.client.finishes()
        around.followers.serverapp_lost("its process ended without a word")
        around.client.on_its_way.set()
        around.followers.on_event({"event": "log-end", "run": "17"})
        return await around.verdict(number)

    run = asyncio.run(scenario())
    assert (run.verdict, run.outcome) == (Verdict.SUCCEEDED, "completed"), run.reason


def test_a_lost_run_is_failed_where_the_superlink_never_says_more(
    around: _Around, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "LOST_SECONDS", 0.2)

    async def scenario() -> RunRecord:
        number = await around.submit()
        around.client.answers["runs"] = silent
        around.followers.serverapp_lost("its process ended without a word")
        return await around.verdict(number)

    run = asyncio.run(scenario())
    assert (run.verdict, "its process ended without a word" in run.reason) == (Verdict.FAILED, True)


def test_a_time_limit_is_kept_while_the_superlink_does_not_answer(
    around: _Around, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "STOP_SECONDS", 0.2)
    monkeypatch.setattr(follow, "RETRY_SECONDS", 0.02)

    async def scenario() -> RunRecord:
        number = await around.submit(timeout=0.5)
        around.client.answers |= {"runs": silent, "stop": silent}
        run = await around.verdict(number)
        tries = around.client.asked.count("stop")
        await around.until(lambda: around.client.asked.count("stop") > tries)  # the SuperLink hears of it yet
        return run

    run = asyncio.run(scenario())
    assert (run.verdict, run.reason[:31]) == (Verdict.TIMED_OUT, "The run took longer than 0.5 s ")
    assert around.ended == ["run 1 is over, and the SuperLink did not stop it"]
    told = [event.message for _, event in around.history.events() if "could not be told" in event.message]
    assert told == ["its time is over, and the SuperLink could not be told: no answer within 10 s"]


def test_a_run_is_judged_though_its_log_cannot_be_written(around: _Around) -> None:
    async def scenario() -> RunRecord:
        number = await around.submit()
        (around.folder.run(number) / "serverapp.log").mkdir()
        around.logs(GOOD.read_text())
        around.logs(FAILS)
        around.client.finishes()
        around.client.state["sub"] = "failed"
        around.followers.on_event({"event": "log-end", "run": "17"})
        return await around.verdict(number)

    run = asyncio.run(scenario())
    assert (run.verdict, "ValueError: wrong" in run.reason, len(run.rounds)) == (Verdict.FAILED, True, 2), run


def test_the_traceback_shown_is_of_the_first_error_reply_and_not_of_what_followed_from_it(around: _Around) -> None:
    around.plan = _Plan(*(SimpleNamespace(name=f"site-{n}", role=Role.CLIENTAPP_SUPEREXEC.value) for n in range(2)))
    kinds = {"train": "RuntimeError: no data on this disk", "evaluate": "ZeroDivisionError: division by zero"}
    printed = "".join(f"Traceback (most recent call last):\n{said}\n" for said in kinds.values())
    rows = [
        {"node": "5", "kind": kind, "asked": 1, "failures": 1, "error": "<class '{}'>:<'{}'>".format(*said.split(": "))}
        for kind, said in kinds.items()
    ]
    around.client.answers["replies"] = lambda: {"counted": rows}

    async def scenario() -> RunRecord:
        log = around.folder.log("site-1")
        log.parent.mkdir(parents=True, exist_ok=True)
        number = await around.submit()
        log.write_text(printed)
        around.client.finishes()
        around.followers.on_event({"event": "log-end", "run": "17"})
        return await around.verdict(number)

    run = asyncio.run(scenario())
    assert run.verdict is Verdict.FAILED, run.reason
    assert run.detail.splitlines()[-1] == kinds["train"]


ROUND = GOOD.read_text(encoding="utf-8").partition("[ROUND 2/")[0]


def test_a_run_that_was_lost_looks_the_same_each_time_and_after_the_next_start(
    around: _Around, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> int:
        number = await around.submit()
        around.logs(ROUND + "[ROUND 2/3]\n")
        await around.until(lambda: len(around.run(number).rounds) == 2)
        return number  # the supervisor dies

    number = asyncio.run(scenario())
    last = around.history.events()[-1][1].at
    reading = LocalRuntime(around.folder)
    monkeypatch.setattr(time, "time", lambda: last + 3_600)
    looked = reading.run(number)
    around.report("supervisor", "test", "starting")
    asyncio.run(_recover(around))
    recovered = reading.run(number)
    reading.store.close()
    assert looked == recovered == around.run(number)
    assert (recovered.verdict, recovered.finished_at) == (Verdict.FAILED, last)
    assert [one.cut_off for one in recovered.rounds] == [False, True]


async def _recover(around: _Around) -> None:
    Followers(around).recover()


def test_the_open_round_of_a_run_is_cut_off_when_the_federation_is_taken_down(around: _Around) -> None:
    async def scenario() -> RunRecord:
        number = await around.submit()
        around.logs(ROUND + "[ROUND 2/3]\n")
        around.followers.close("the federation was taken down")
        return await around.verdict(number)

    record = asyncio.run(scenario())
    assert (record.verdict, record.rounds[-1].cut_off) == (Verdict.STOPPED, True)
    assert record.rounds[-1].finished_at == record.finished_at
