"""Rounds as people read them."""

from __future__ import annotations

import math

import pytest

from flowerbed.runs.records import Exchange, Round
from flowerbed.runs.table import chosen_metrics, number, other_metrics, round_line, rows

FULL = (Exchange("train", 2, 2, 0), Exchange("evaluate", 2, 2, 0))
SHORT = (Exchange("train", 2, 1, 1), Exchange("evaluate", 2, 2, 0))
GOOD = Round(2, FULL, {"train/loss": 0.41, "evaluate/loss": 0.3, "evaluate/accuracy": 0.93}, 10.0, 19.2)


@pytest.mark.parametrize(
    ("one", "total", "line"),
    [
        (
            GOOD,
            3,
            "round 2/3  2 of 2 results  0 failures  train/loss 0.41  evaluate/accuracy 0.93  evaluate/loss 0.3  9.2 s",
        ),
        (Round(1), None, "round 1"),
        (Round(1, started_at=5.0), 3, "round 1/3"),
        (Round(1, SHORT), 3, "round 1/3  train 1 of 2, evaluate 2 of 2 results  1 failure"),
        (Round(1, (Exchange("train", 2),)), 3, "round 1/3"),
        (Round(1, (Exchange("train", None, 3, 0),)), 3, "round 1/3  3 results  0 failures"),
        (Round(1, FULL, {}, 10.0, 9.0), 1, "round 1/1  2 of 2 results  0 failures  0.0 s"),  # a clock set back
    ],
)
def test_one_line(one: Round, total: int | None, line: str) -> None:
    assert round_line(one, total) == line


def test_a_table() -> None:
    first = Round(1, SHORT, {"train/loss": 0.5}, 0.0, 10.0)
    assert rows([first, GOOD, Round(3)]) == [
        ["round", "results", "failures", "train/loss", "evaluate/accuracy", "evaluate/loss", "seconds"],
        ["1", "train 1 of 2, evaluate 2 of 2", "1", "0.5", "-", "-", "10.0"],
        ["2", "2 of 2", "0", "0.41", "0.93", "0.3", "9.2"],
        ["3", "-", "-", "-", "-", "-", "-"],
    ]
    assert rows([]) == [["round", "results", "failures", "seconds"]]


def test_of_many_metrics_those_that_tell_most() -> None:
    names = ["train/lr", "train/accuracy", "train/loss", "evaluate/zz", "evaluate/loss", "evaluate/f1", "server/mse"]
    assert chosen_metrics([Round(1, metrics=dict.fromkeys(names, 0.5))]) == [
        "train/loss",
        "evaluate/f1",
        "evaluate/loss",
        "server/mse",
    ]


def test_all_lines_of_a_run_show_the_same_metrics_and_say_how_many_more_there_are() -> None:
    """The first round decides; what comes later takes free places, and never another's."""
    first = Round(1, FULL, {"train/lr": 1.0, "train/loss": 0.5, "train/grad": 2.0, "train/accuracy": 0.6}, 0.0, 1.0)
    new = {"evaluate/loss": 0.4, "evaluate/accuracy": 0.7, "server/f1": 0.8}
    later = Round(2, FULL, {**first.metrics, **new}, 1.0, 2.0)
    assert chosen_metrics([first]) == ["train/loss", "train/accuracy", "train/lr"]
    for run in ([first, later], [first, later, Round(3)], [first, later, Round(3, metrics={"server/loss": 0.1})]):
        assert chosen_metrics(run) == ["train/loss", "train/accuracy", "train/lr", "evaluate/accuracy"]
    assert other_metrics([first, later]) == ["train/grad", "evaluate/loss", "server/f1"]
    assert round_line(first, 2, chosen_metrics([first])) == (
        "round 1/2  2 of 2 results  0 failures  train/loss 0.5  train/accuracy 0.6  train/lr 1  1 more  1.0 s"
    )
    assert round_line(later, 2, chosen_metrics([first, later])) == (
        "round 2/2  2 of 2 results  0 failures"
        "  train/loss 0.5  train/accuracy 0.6  train/lr 1  evaluate/accuracy 0.7  3 more  1.0 s"
    )


def test_a_round_in_which_the_run_ended_says_so() -> None:
    cut = Round(2, (Exchange("train", 2),), started_at=1.0, finished_at=3.0, cut_off=True)
    assert round_line(cut, 3) == "round 2/3  cut off  2.0 s"
    assert rows([cut])[1] == ["2 (cut off)", "-", "-", "2.0"]


@pytest.mark.parametrize(
    ("value", "name", "shown"),
    [
        (0.41, "train/loss", "0.41"),
        (0.9777777777777777, "evaluate/accuracy", "0.9778"),
        (0.99999, "evaluate/accuracy", "0.9999"),  # not perfect
        (1.0, "evaluate/accuracy", "1"),
        (0.0, "x", "0"),
        (3.0, "x", "3"),
        (1234.5678, "x", "1235"),
        (0.00001234, "train/loss", "1.23e-05"),
        (1.5e9, "x", "1.50e+09"),
        (-0.5, "x", "-0.5"),
        (math.nan, "train/loss", "nan"),
        (-math.inf, "train/loss", "-inf"),
    ],
)
def test_numbers(value: float, name: str, shown: str) -> None:
    assert number(value, name) == shown
