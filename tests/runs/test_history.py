"""Runs as rows of a list."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flowerbed.runs.history import line, row
from flowerbed.runs.progress import end
from flowerbed.runs.records import Exchange, Phase, Round, RunRecord, Verdict
from flowerbed.runs.run_log import RunLog

FULL = (Exchange("train", 2, 2, 0),)
ONE = Round(1, FULL, {"train/loss": 0.5, "evaluate/accuracy": 0.9}, 1.0, 2.0)
RUN = RunRecord(7, "17", "me/app==1.0", Phase.RUNNING, rounds=(ONE, Round(2, started_at=2.0)), total_rounds=3)

LOG = """\
INFO :      Starting FedAvg strategy:
INFO :      \t├── Number of rounds: 2
INFO :      [ROUND 1/2]
INFO :      aggregate_train: Received 2 results and 0 failures
INFO :      \t└──> Aggregated MetricRecord: {'loss': 0.5}
INFO :      [ROUND 2/2]
"""


def test_rounds_are_those_that_finished_and_the_one_that_goes_on_is_said_apart() -> None:
    assert row(RUN)[3:5] == ["1/3 (2 goes on)", "train/loss=0.5 evaluate/accuracy=0.9"]
    assert line(RUN) == "run 7: running, 1 of 3 rounds finished, round 2 goes on (me/app==1.0)"


def test_a_run_that_waits_is_seen_to_wait() -> None:
    assert row(RUN)[2] == "running"
    assert row(replace(RUN, waits_for="site-1, which is offline"))[2] == "running, waits"


def test_a_stopped_run_keeps_the_metrics_of_its_last_finished_round() -> None:
    cut = replace(RUN.rounds[1], finished_at=3.0, cut_off=True)
    stopped = replace(RUN, phase=Phase.FINISHED, verdict=Verdict.STOPPED, rounds=(ONE, cut))
    assert row(stopped)[2:5] == ["stopped", "1/3", "train/loss=0.5 evaluate/accuracy=0.9"]
    assert line(stopped) == "run 7: stopped, 1 of 3 rounds finished (me/app==1.0)"


def test_a_run_whose_federation_was_taken_down_in_a_round_did_not_finish_that_round() -> None:
    down = replace(RUN, phase=Phase.FINISHED, verdict=Verdict.STOPPED)
    assert row(down)[3] == "1/3"


def test_metrics_beyond_those_shown_are_counted() -> None:
    many = replace(ONE, metrics={f"train/m{number}": 0.5 for number in range(7)})
    assert row(replace(RUN, rounds=(many,)))[4] == "train/m0=0.5 train/m1=0.5 train/m2=0.5 (+4)"


@pytest.mark.parametrize(("completed", "rounds"), [(True, "2/2"), (False, "1/2")])
def test_the_last_round_of_a_log_is_finished_if_the_serverapp_was(completed: bool, rounds: str) -> None:
    """An app with a loop of its own prints nothing after its last round."""
    log = RunLog()
    log.feed(LOG, 1.0)
    log.feed("", 2.0, last=True, completed=completed)
    over = replace(RUN, phase=Phase.FINISHED, rounds=log.progress.rounds, total_rounds=2)
    assert row(over)[3] == rounds
    assert row(over)[4] == "train/loss=0.5"
    assert end(log.progress, 9.0) == log.progress


def test_a_serverapp_that_raises_cuts_its_round_off() -> None:
    log = RunLog()
    log.feed(LOG + "ERROR :     ServerApp raised an exception\n", 1.0)
    assert [one.cut_off for one in log.progress.rounds] == [False, True]
