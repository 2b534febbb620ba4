"""The record of a run whose supervisor is gone."""

from __future__ import annotations

from dataclasses import replace

from flowerbed.runs.lost import LOST_WITH_SUPERVISOR, NEVER_TAKEN, lost
from flowerbed.runs.records import Phase, Round, RunRecord, Verdict

RUNNING = RunRecord(
    number=1,
    flower_id="17",
    app="a",
    phase=Phase.RUNNING,
    rounds=(Round(1, started_at=12.0, finished_at=15.0), Round(2, started_at=15.0)),
    submitted_at=10.0,
    waits_for="SuperNodes",
)


def test_a_lost_run_ended_when_it_was_last_seen_and_its_open_round_was_cut_off() -> None:
    assert lost(RUNNING, 14.0) == replace(
        RUNNING,
        phase=Phase.FINISHED,
        verdict=Verdict.FAILED,
        reason=LOST_WITH_SUPERVISOR,
        rounds=(RUNNING.rounds[0], Round(2, started_at=15.0, finished_at=15.0, cut_off=True)),
        waits_for="",
        finished_at=15.0,
    )
    later = lost(RUNNING, 14.0, 20.5)
    assert (later.finished_at, later.rounds[1].finished_at) == (20.5, 20.5)


def test_a_run_that_was_never_taken_ended_when_it_was_submitted() -> None:
    found = lost(replace(RUNNING, flower_id=None, phase=Phase.SUBMITTING, rounds=()), None)
    assert (found.reason, found.finished_at) == (NEVER_TAKEN, 10.0)
