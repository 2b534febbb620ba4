"""Runs that somebody else submitted."""

from __future__ import annotations

from flowerbed.runs.foreign import unknown, was_running
from flowerbed.runs.history import line, row
from flowerbed.runs.records import Phase, RunRecord

LISTED = {"run": "17", "status": "running", "app": "me/app==1.0", "config": {"a": 1}, "pending_at": 5.0}


def test_what_history_does_not_know_becomes_a_record_with_what_the_superlink_tells() -> None:
    ours = {**LISTED, "run": "16"}
    found = unknown([ours, LISTED, {"run": "18", "status": "pending"}], {"16"})
    assert found == [
        RunRecord(0, "17", "me/app==1.0", Phase.PENDING, config={"a": 1}, submitted_at=5.0, foreign=True),
        RunRecord(0, "18", "an app without a name", Phase.PENDING, foreign=True),
    ]


def test_it_is_marked_in_lists() -> None:
    (record,) = unknown([LISTED], ())
    assert row(record)[1] == "me/app==1.0 (foreign)"
    assert line(record) == "run 0: pending (me/app==1.0, foreign)"


def test_one_that_ran_before_a_restart_is_told_from_one_that_waited() -> None:
    assert was_running({**LISTED, "starting_at": 6.0}, 7.0)
    assert not was_running({**LISTED, "starting_at": 8.0}, 7.0)
    assert not was_running({**LISTED, "status": "pending"}, 7.0)
    assert not was_running({**LISTED, "status": "finished", "starting_at": 6.0}, 7.0)
