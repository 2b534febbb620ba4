"""Noticing a SuperNode that waits for a ClientApp that is gone."""

from __future__ import annotations

from flowerbed.flower.inside.wedge import WEDGED_AFTER_SECONDS, Marks, Watch

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
    said = ["Received: a", "Sent reply", "Connection attempt failed, retrying in 1 seconds", "Giving up reconnection"]
    assert all(MARKS.tell(line) for line in said)
    assert not MARKS.tell("INFO : Starting Flower SuperNode")
