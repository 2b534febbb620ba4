"""Noticing a SuperNode that waits for a ClientApp that is gone."""

from __future__ import annotations

import pytest

from flowerbed.flower.release import Minor
from flowerbed.flower.releases import RELEASES, Row
from flowerbed_inside.unit.wedge import LATE_AFTER_SECONDS, WEDGED_AFTER_SECONDS, Marks, Watch

MARKS = Marks.compiled("Received: ", "Sent|Failed", "Failed")


def see(watch: Watch, log: str, *, worker: bool, now: float) -> Watch:
    return watch.observe(log, MARKS, worker=worker, now=now)


def test_a_message_that_is_worked_on_is_no_wedge_however_long_it_takes() -> None:
    watch = see(Watch(), "INFO : Received: train message", worker=True, now=0)
    watch = see(watch, "", worker=True, now=100_000)
    assert watch.busy
    assert watch.why(100_000) == ""


def test_a_message_without_a_worker_is_a_wedge_after_a_while() -> None:
    watch = see(Watch(), "INFO : Received: train message", worker=False, now=10)
    watch = see(watch, "", worker=False, now=11)
    assert watch.why(10 + WEDGED_AFTER_SECONDS - 1) == ""
    assert "ClientApp that is gone" in watch.why(10 + WEDGED_AFTER_SECONDS)


def test_a_worker_that_comes_late_resets_the_clock() -> None:
    watch = see(Watch(), "INFO : Received: train message", worker=False, now=0)
    watch = see(watch, "", worker=True, now=15)
    watch = see(watch, "", worker=False, now=16)
    assert watch.why(16 + WEDGED_AFTER_SECONDS - 1) == ""


def test_a_reply_ends_the_work() -> None:
    watch = see(Watch(), "INFO : Received: train message\nINFO : Sent reply", worker=False, now=0)
    assert not watch.busy
    assert watch.why(1e9) == ""


def test_a_new_message_after_a_reply_starts_its_own_clock() -> None:
    watch = see(Watch(), "Received: a", worker=False, now=0)
    watch = see(watch, "Sent reply\nReceived: b", worker=False, now=WEDGED_AFTER_SECONDS - 1)
    assert watch.busy


def test_a_reply_that_could_not_be_sent_is_known_at_once() -> None:
    watch = see(Watch(), "Received: a\nFailed to send message", worker=True, now=0)
    assert not watch.busy
    assert "could not send a reply" in watch.why(0)


def test_a_reply_that_waits_for_a_superlink_to_come_back_is_no_wedge() -> None:
    watch = see(
        Watch(), "Received: a\nSending: a\nConnection attempt failed, retrying in 0.69 seconds", worker=False, now=0
    )
    watch = see(watch, "", worker=False, now=100)
    assert watch.why(100) == ""
    watch = see(watch, "Connection successful after 99.00 seconds and 9 tries.", worker=False, now=101)
    watch = see(watch, "", worker=False, now=102)
    assert watch.why(101 + WEDGED_AFTER_SECONDS - 1) == ""
    assert "ClientApp that is gone" in watch.why(101 + WEDGED_AFTER_SECONDS)


def test_lines_that_say_something_of_the_work_are_told_from_others() -> None:
    said = [
        "Received: a",
        "Sent reply",
        "Connection attempt failed, retrying in 1 seconds",
        "Giving up reconnection",
        "[RUN 12, ROUND 1]",
    ]
    assert all(MARKS.tell(line) for line in said)
    assert not MARKS.tell("INFO : Starting Flower SuperNode")


RECEIVED, RECEIVING = "Received: train message 034b", "Receiving: train message (ID: 034b)"
ENDED = """\
INFO :      [RUN 17623749502859812815]
INFO :      {taken}
INFO :      Run ID 17623749502859812815 is not in `RUNNING` status. Ignoring message 034b.
"""
LATE = """\
INFO :      [RUN 7360350951461302816, ROUND 1]
INFO :      {taken}
INFO :      Received successfully
INFO :
INFO :      [RUN 17623749502859812815]
INFO :      Sending: train message (ID: 7bff)
INFO :      Run ID 17623749502859812815 is not in `RUNNING` status. Ignoring reply message 7bff.
"""


def of_release(row: Row, text: str) -> tuple[str, Marks]:
    """Return a SuperNode's log as a release writes it, and the marks by which it is read."""
    marks = row.contract.work_marks
    taken = RECEIVED if row.minor < Minor(1, 24) else RECEIVING
    return text.format(taken=taken), Marks.compiled(marks.taken, marks.replied, marks.lost)


each_release = pytest.mark.parametrize("release", [pytest.param(row, id=str(row.minor)) for row in RELEASES])


@each_release
def test_a_reply_of_another_run_is_not_the_one_that_is_waited_for(release: Row) -> None:
    log, marks = of_release(release, ENDED + LATE)
    watch = Watch().observe(log, marks, worker=False, now=0)
    assert watch.busy
    assert watch.why(0) == (
        "took a reply of run 17623749502859812815 for the answer to a message of run 7360350951461302816"
    )


@each_release
def test_a_clientapp_that_works_on_an_ignored_message_is_noticed_before_the_next_message(release: Row) -> None:
    log, marks = of_release(release, ENDED)
    watch = Watch().observe(log, marks, worker=True, now=0)
    watch = watch.observe("", marks, worker=True, now=LATE_AFTER_SECONDS)
    assert not watch.busy
    assert "works on a message of a run that is over" in watch.why(LATE_AFTER_SECONDS)


def test_an_ignored_message_that_nobody_works_on_is_no_reason_to_restart() -> None:
    log, marks = of_release(RELEASES[0], ENDED)
    watch = Watch().observe(log, marks, worker=False, now=0)
    assert watch.observe("", marks, worker=False, now=1000).why(1000) == ""


def test_a_reply_that_comes_after_its_run_has_ended_is_in_turn() -> None:
    log, marks = of_release(RELEASES[-1], LATE.replace("7360350951461302816", "17623749502859812815"))
    watch = Watch().observe(log, marks, worker=True, now=0)
    assert (watch.busy, watch.observe("", marks, worker=True, now=1000).why(1000)) == (False, "")


def test_a_log_whose_beginning_was_not_read_is_no_reason_to_restart() -> None:
    watch = see(Watch(), "Received: a\n[RUN 1]\nSent reply", worker=True, now=0)
    assert (watch.busy, watch.why(0)) == (False, "")
