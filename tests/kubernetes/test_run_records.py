"""Runs survive in ConfigMaps."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from flowerbed.kubernetes.run_records import (
    DETAIL_CHARACTERS,
    Kept,
    from_objects,
    may_be_submitting,
    next_number,
    to_object,
    without_doubles,
)
from flowerbed.runs.records import Exchange, Phase, Replies, Round, RunRecord, Verdict

RECORD = RunRecord(
    3,
    "123",
    "someone/app==1.0",
    Phase.FINISHED,
    outcome="completed",
    verdict=Verdict.SUCCEEDED,
    rounds=(Round(1, (Exchange("train", 2, 2, 0),), {"train/loss": 0.5}, 1.0, 2.0),),
    total_rounds=1,
    config={"lr": 0.1},
    submitted_at=1.0,
    finished_at=9.0,
    replies=(Replies("17", "query", asked=2, results=2, name="hospital-0"),),
    nodes={"17": "hospital-0"},
)


def test_a_record_comes_back_as_it_was() -> None:
    kept = Kept(RECORD, timeout=90.0, serverapp="uid/0")
    assert from_objects([to_object("fed", "ns", kept)]) == [kept]


def test_a_record_of_a_version_that_knew_of_no_replies_is_read() -> None:
    kept = Kept(replace(RECORD, replies=None, nodes={}), timeout=90.0, serverapp="uid/0")
    item = to_object("fed", "ns", kept)
    old = json.loads(item["data"]["run.json"])
    del old["replies"], old["nodes"]
    item["data"]["run.json"] = json.dumps(old)
    assert from_objects([item]) == [kept]


def test_what_other_commands_add_is_read_and_never_written_over() -> None:
    item = to_object("fed", "ns", Kept(RECORD))
    assert "annotations" not in item["metadata"]
    item["metadata"]["annotations"] = {
        "flowerbed.dev/stop-asked": "yes",
        "flowerbed.dev/meanwhile": "restarted superlink (another certificate)\nrestarted site-0 (another image)",
    }
    [kept] = from_objects([item])
    assert (kept.stop_asked, kept.done_meanwhile) == (
        True,
        ("restarted superlink (another certificate)", "restarted site-0 (another image)"),
    )


def test_other_config_maps_are_passed_over() -> None:
    other = {"metadata": {"name": "fed-programs"}, "data": {"launcher.py": "print()"}}
    assert from_objects([other, {"metadata": {"name": "empty"}}]) == []


def test_of_two_records_of_one_foreign_run_the_first_counts() -> None:
    """Two commands may take it into history at the same moment."""
    first, double = (Kept(replace(RECORD, number=number, foreign=True)) for number in (4, 5))
    never = [Kept(replace(RECORD, number=number, flower_id=None)) for number in (6, 7)]
    assert without_doubles([first, double, *never]) == [first, *never]


@pytest.mark.parametrize(
    ("submitted_at", "pending_at", "may_be"),
    [
        (1000.0, 1001.0, True),
        (1000.0, 950.0, True),  # clocks differ
        (1000.0, 500.0, False),  # it was there long before
        (1000.0 - 3600.0, 1001.0, False),  # whoever submitted that is gone
    ],
)
def test_a_run_that_a_command_is_submitting_is_not_taken_for_somebody_elses(
    submitted_at: float, pending_at: float, may_be: bool
) -> None:
    submitting = Kept(replace(RECORD, phase=Phase.SUBMITTING, flower_id=None, submitted_at=submitted_at))
    assert may_be_submitting([submitting], pending_at, now=1010.0) is may_be
    assert not may_be_submitting([Kept(RECORD)], pending_at, now=1010.0)


def test_numbers_go_on_after_the_highest_even_where_one_is_missing() -> None:
    assert next_number([]) == 1
    assert next_number([Kept(replace(RECORD, number=number)) for number in (1, 4)]) == 5


def test_a_long_traceback_is_cut_at_its_beginning() -> None:
    [kept] = from_objects([to_object("fed", "ns", Kept(replace(RECORD, detail="x" * DETAIL_CHARACTERS + "end")))])
    assert len(kept.record.detail) == DETAIL_CHARACTERS
    assert kept.record.detail.endswith("end")
