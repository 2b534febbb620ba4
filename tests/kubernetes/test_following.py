"""Who follows a run in a cluster, with a SuperLink and a Pod that say what a test wants: races that real ones hide."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from flowerbed.kubernetes import following
from flowerbed.kubernetes.following import Follower
from flowerbed.kubernetes.run_records import Kept
from flowerbed.runs.records import Phase, Replies, RunRecord, Verdict
from flowerbed.runs.waiting import Seen


class _Link:
    """A SuperLink that gives the phases of a run one after the other, then the last for ever."""

    def __init__(self, *states: dict[str, Any]) -> None:
        self.states = list(states)
        self.log = ""
        self.asked: list[str] = []
        self.counted: list[dict[str, Any]] | None = None

    def ask(self, what: str, **_: object) -> Any:
        self.asked.append(what)
        if what == "replies":
            return {"counted": self.counted}
        if what != "runs":
            return []
        return [self.states.pop(0) if len(self.states) > 1 else self.states[0]]

    def follow(self, _: str, on_event: Callable[[dict[str, Any]], None], __: Callable[[], float]) -> None:
        if self.log:
            on_event({"event": "log", "text": self.log, "at": time.time()})
        on_event({"event": "log-end"})

    def unfollow(self, _: str) -> None:
        pass


class _Around:
    """A runtime of which only the incarnation of the ServerApp's Pod matters."""

    def __init__(self, link: _Link, *incarnations: str) -> None:
        self.link: Any = link
        self.incarnations = list(incarnations)
        self.around_it = Seen(2, 2)
        self.ending = ""

    def serverapp_incarnation(self) -> str:
        return self.incarnations.pop(0) if len(self.incarnations) > 1 else self.incarnations[0]

    def clientapp_traceback(self, _: float, __: object) -> str:
        return "Traceback (most recent call last):\nValueError: no"

    def node_names(self) -> dict[str, str]:
        return {"7": "site-0"}

    def serverapp_ending(self, _: float) -> str:
        return self.ending

    def nodes_expected(self) -> int:
        return 2

    def seen(self) -> Seen:
        return self.around_it

    def results_kept(self, flower_id: str) -> str:
        return f"persistentvolumeclaim/results/{flower_id}"


RUNNING = {"status": "running", "sub": "", "details": ""}
FAILED = {"status": "finished", "sub": "failed", "details": "Task failed with unknown error."}


def followed(
    state: dict[str, Any], *incarnations: str, counted: list[dict[str, Any]] | None = None, ending: str = ""
) -> RunRecord:
    record = RunRecord(1, "17", "an app", Phase.RUNNING, submitted_at=time.time())
    around = _Around(_Link(state), *incarnations)
    around.link.counted = counted
    around.ending = ending
    kept: list[Kept] = []
    follower = Follower(around, Kept(record, None, "a/0"), keep=kept.append, report=lambda *_: None)
    run = follower.wait(30)
    assert kept[-1].record == run
    assert run.results == "persistentvolumeclaim/results/17"
    return run


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "LOST_SECONDS", 0.5)
    monkeypatch.setattr(following, "POLL_SECONDS", 0.05)


@pytest.mark.parametrize("incarnations", [("b/0",), ("",), ("a/0", "a/0", "a/1")])
def test_a_serverapp_that_was_ended_with_its_pod_is_lost_also_where_it_could_report_a_failure(
    incarnations: tuple[str, ...],
) -> None:
    run = followed(FAILED, *incarnations)
    assert run.verdict is Verdict.FAILED
    assert "SuperExec was started anew" in run.reason


def test_a_serverapp_that_failed_in_a_pod_that_is_still_there_is_not_lost() -> None:
    run = followed(FAILED, "a/0")
    assert run.verdict is Verdict.FAILED
    assert run.reason == "The ServerApp failed: Task failed with unknown error."


def test_a_serverapp_whose_process_ended_by_itself_says_how() -> None:
    run = followed(FAILED, "a/0", ending="its process ended with status 0")
    assert "(its process ended with status 0): let it return instead of calling sys.exit." in run.reason


def test_a_run_that_failed_long_ago_is_not_put_down_to_a_pod_that_was_replaced_since() -> None:
    run = followed({**FAILED, "finished_at": time.time() - 3600}, "b/0")
    assert "started anew" not in run.reason


def test_a_run_whose_pod_is_another_one_before_the_superlink_notices_is_lost() -> None:
    run = followed(RUNNING, "a/0", "b/0")
    assert run.verdict is Verdict.FAILED
    assert "SuperExec was started anew" in run.reason


WAITING = """\
INFO :      Starting FedAvg strategy:
INFO :      \t├── Number of rounds: 3
INFO :      [ROUND 1/3]
INFO :      Waiting for nodes to connect: 2 connected (minimum required: 5).
"""


def test_a_run_that_waits_says_so_in_its_record_and_in_its_reason() -> None:
    link = _Link(*[RUNNING] * 4, {"status": "finished", "sub": "stopped", "details": ""})
    link.log = WAITING
    kept: list[Kept] = []
    told: list[tuple[str, str, str]] = []
    record = RunRecord(1, "17", "an app", Phase.RUNNING, submitted_at=time.time())
    follower = Follower(
        _Around(link, "a/0"), Kept(record, None, "a/0"), keep=kept.append, report=lambda *said: told.append(said)
    )
    run = follower.wait(30)

    assert kept[0].record.waits_for.startswith("SuperNodes: 2 connected, 5 required; the federation has only 2: lower")
    assert [said for said in told if said[0] == "waiting"] == [
        ("waiting", "1", f"waits for {kept[0].record.waits_for}")
    ]
    assert (run.verdict, run.waits_for) == (Verdict.STOPPED, "")
    assert "in round 1 of 3" in run.reason
    assert run.reason.endswith(f", while it waited for {kept[0].record.waits_for}.")


def test_who_only_looks_at_a_run_learns_what_it_does_and_writes_nothing() -> None:
    """Another command may follow it, and know more."""
    link = _Link(RUNNING)
    link.log = WAITING
    kept: list[Kept] = []
    record = RunRecord(1, "17", "an app", Phase.PENDING, submitted_at=time.time())
    around = _Around(link, "a/0")
    follower = Follower(around, Kept(record, timeout=0.001), keep=kept.append, report=lambda *_: None, glancing=True)
    seen = follower.glance()
    follower.leave()
    assert (seen.phase, len(seen.rounds), seen.waits_for[:33]) == (
        Phase.RUNNING,
        1,
        "SuperNodes: 2 connected, 5 requir",
    )
    assert kept == []
    assert "stop" not in link.asked


def test_what_another_command_asked_or_did_is_in_the_reason() -> None:
    record = RunRecord(1, "17", "an app", Phase.RUNNING, submitted_at=time.time())
    kept = Kept(record, None, "a/0")

    def judged(state: dict[str, Any], **aside: Any) -> RunRecord:
        around = _Around(_Link(state), "a/0")
        again = replace(kept, **aside)
        follower = Follower(around, kept, keep=lambda _: None, report=lambda *_: None, again=lambda: again)
        return follower.wait(30)

    stopped = {"status": "finished", "sub": "stopped", "details": ""}
    assert judged(stopped).reason == "The run was stopped, but not by Flowerbed."
    assert judged(stopped, stop_asked=True).reason == "The run was stopped on request."
    kept = replace(kept, timeout=30.0)
    late = {**stopped, "finished_at": (record.submitted_at or 0.0) + 31.0}
    assert judged(late).reason == "The run took longer than 30 s and was stopped."
    assert judged(late, stop_asked=True).reason == "The run was stopped on request."
    failed = judged(FAILED, done_meanwhile=("restarted superlink (another certificate)",))
    assert failed.reason == (
        "The ServerApp failed: Task failed with unknown error. Meanwhile Flowerbed restarted superlink (another"
        " certificate)."
    )


@pytest.mark.parametrize("sub", ["completed", "stopped"])
def test_what_the_superlink_counted_is_kept_with_names_and_brings_the_clientapps_error(sub: str) -> None:
    row = {"node": "7", "kind": "query", "asked": 2, "results": 0, "failures": 2, "error": "<class 'OSError'>:<'no'>"}
    run = followed({"status": "finished", "sub": sub, "details": ""}, "a/0", counted=[row])
    assert run.replies == (Replies("7", "query", 2, 0, 2, "<class 'OSError'>:<'no'>", "site-0"),)
    assert (run.nodes, run.client_error) == ({"7": "site-0"}, "site-0: OSError: no")
    assert run.detail.endswith("ValueError: no")
    assert "site-0" in run.reason


def test_a_run_without_any_error_fetches_no_clientapps_log_when_it_was_stopped() -> None:
    row = {"node": "7", "kind": "query", "asked": 2, "results": 2, "failures": 0, "error": ""}
    run = followed({"status": "finished", "sub": "stopped", "details": ""}, "a/0", counted=[row])
    assert (run.verdict, run.detail) == (Verdict.STOPPED, "")


def test_who_stops_a_run_that_nobody_followed_says_what_it_waited_for() -> None:
    link = _Link({"status": "finished", "sub": "stopped", "details": ""})
    link.log = WAITING
    record = RunRecord(1, "17", "an app", Phase.PENDING, submitted_at=time.time())
    follower = Follower(_Around(link, "a/0"), Kept(record), keep=lambda _: None, report=lambda *_: None)
    reason = follower.wait(30).reason
    assert ", while it waited for SuperNodes: 2 connected, 5 required; the federation has only 2: lower" in reason
