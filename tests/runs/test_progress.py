"""Events become rounds."""

from __future__ import annotations

import pytest
from run_samples import RELEASES, progress_of, sample

from flowerbed.runs.events import (
    LEGACY,
    LogEvent,
    Metrics,
    Replies,
    RoundStarted,
    Sampled,
    StrategyFinished,
    StrategyStarting,
    Waiting,
)
from flowerbed.runs.progress import Progress, advance, end
from flowerbed.runs.records import Exchange, Round


def reduce(*events: LogEvent, start: Progress | None = None) -> Progress:
    progress = start or Progress()
    for event in events:
        progress = advance(progress, event)
    return progress


FULL = (Exchange("train", 2, 2, 0), Exchange("evaluate", 2, 2, 0))


@pytest.mark.parametrize("release", RELEASES)
def test_a_good_run(release: str) -> None:
    progress = progress_of(sample(f"{release}-good"))
    assert progress.strategies == ("FedAvg",)
    assert progress.total_rounds == 2
    assert progress.finished
    assert progress.round is None
    assert progress.initial_metrics == {"server/accuracy": 0.5}
    assert progress.rounds == tuple(
        Round(
            number,
            FULL,
            {
                "train/train_loss": 0.5 / number,
                "evaluate/eval_loss": 0.25,
                "evaluate/eval_acc": 0.9125,
                "server/accuracy": 0.5 + number / 10,
            },
            started_at=0.0,
            finished_at=0.0,
        )
        for number in (1, 2)
    )


@pytest.mark.parametrize("release", RELEASES)
def test_a_legacy_run_has_the_same_shape(release: str) -> None:
    progress = progress_of(sample(f"{release}-legacy"))
    assert progress.strategies == (LEGACY,)
    assert progress.total_rounds == 2
    assert progress.finished
    assert [one.exchanges for one in progress.rounds] == [FULL, FULL]
    assert progress.rounds[1].metrics == {
        "train/train_loss": 0.5,
        "evaluate/loss": 0.25,
        "evaluate/accuracy": 0.9,
        "server/loss": 1 / 3,  # as it was printed in the round, not as rounded in the table
        "server/accuracy": 0.7,
    }


@pytest.mark.parametrize(
    ("what", "exchanges"),
    [
        ("partial", [FULL, (Exchange("train", 2, 1, 1), Exchange("evaluate", 2, 2, 0))]),
        ("allfail", [(Exchange("train", 2, 0, 2), Exchange("evaluate", 2, 2, 0))] * 2),
        ("noeval", [(Exchange("train", 2, 2, 0),)] * 2),
        ("aggraise", [FULL, (Exchange("train", 2),)]),
        ("legacyfail", [(Exchange("train", 2, 0, 2), Exchange("evaluate", 2, 2, 0))] * 2),
        ("silent", []),
        ("serverraise", []),
    ],
)
@pytest.mark.parametrize("release", RELEASES)
def test_exchanges(release: str, what: str, exchanges: list[tuple[Exchange, ...]]) -> None:
    assert [one.exchanges for one in progress_of(sample(f"{release}-{what}")).rounds] == exchanges


def test_a_round_lasts_until_the_next_begins_or_the_strategy_is_done() -> None:
    progress = reduce(RoundStarted(10.0, 1, 2), RoundStarted(14.5, 2, 2))
    assert [(one.started_at, one.finished_at) for one in progress.rounds] == [(10.0, 14.5), (14.5, None)]
    assert progress.round == progress.rounds[1]
    progress = reduce(StrategyFinished(20.0, 10.0), start=progress)
    assert progress.rounds[1].finished_at == 20.0
    assert progress.round is None


def test_a_run_that_ends_in_a_round_ends_the_round() -> None:
    progress = end(reduce(RoundStarted(1.0, 1, 2)), 5.0)
    assert progress.rounds[0].finished_at == 5.0
    assert not progress.finished


def test_a_second_strategy_goes_on_counting() -> None:
    def strategy(name: str) -> list[LogEvent]:
        return [
            StrategyStarting(0.0, name, 2),
            RoundStarted(0.0, 1, 2),
            RoundStarted(0.0, 2, 2),
            StrategyFinished(0.0, 1.0),
        ]

    progress = reduce(
        *strategy("FedAvg"), *strategy("FedAdam"), Metrics(0.0, "train", {"a": 1.0}, round=2, summary=True)
    )
    assert progress.strategies == ("FedAvg", "FedAdam")
    assert [one.number for one in progress.rounds] == [1, 2, 3, 4]
    assert progress.total_rounds == 4
    assert progress.rounds[3].metrics == {"train/a": 1.0}


def test_a_log_read_again_after_a_lost_connection_changes_nothing() -> None:
    events: list[LogEvent] = [
        RoundStarted(0.0, 1, 2),
        Sampled(0.0, "train", 2, 2),
        Replies(0.0, "train", 2, 0),
        RoundStarted(0.0, 2, 2),
        Sampled(0.0, "train", 2, 2),
    ]
    once = reduce(*events)
    assert reduce(*events[3:], start=once) == once


def test_two_exchanges_of_one_kind_in_a_round_are_both_kept() -> None:
    progress = reduce(
        RoundStarted(0.0, 1),
        Sampled(0.0, "train", 2),
        Replies(0.0, "train", 0, 2),
        Sampled(0.0, "train", 2),
        Replies(0.0, "train", 2, 0),
    )
    assert progress.rounds[0].exchanges == (Exchange("train", 2, 0, 2), Exchange("train", 2, 2, 0))


def test_replies_outside_any_round_are_not_lost() -> None:
    progress = reduce(Sampled(1.0, "train", 2), Replies(2.0, "train", 0, 2))
    assert [one.exchanges for one in progress.rounds] == [(Exchange("train", 2, 0, 2),)]


def test_waiting_for_supernodes_is_over_when_some_are_sampled() -> None:
    waiting = Waiting(0.0, 1, 2)
    progress = reduce(RoundStarted(0.0, 1), waiting)
    assert progress.waiting == waiting
    assert reduce(Sampled(0.0, "train", 2), start=progress).waiting is None
