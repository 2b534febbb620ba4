"""Every release's wording is read, wherever the stream is cut."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_samples import RELEASES, SAMPLES, events_of, sample

from flowerbed.runs.events import (
    LEGACY,
    AppRaised,
    Metrics,
    Replies,
    ReplyError,
    RoundStarted,
    Sampled,
    StrategyFinished,
    StrategyStarting,
    TracebackStarted,
    Waiting,
)
from flowerbed.runs.lines import LINE_LIMIT, LineParser

ALL_SAMPLES = sorted(path.stem for path in SAMPLES.glob("*.log"))


@pytest.mark.parametrize("release", RELEASES)
def test_a_good_run_tells_all_of_this(release: str) -> None:
    events = [event for event in events_of(sample(f"{release}-good")) if not isinstance(event, StrategyFinished)]

    def round_events(number: int) -> list[object]:
        return [
            RoundStarted(0.0, number, 2),
            Sampled(0.0, "train", 2, 2),
            Replies(0.0, "train", 2, 0),
            Metrics(0.0, "train", {"train_loss": 0.5 / number}),
            Sampled(0.0, "evaluate", 2, 2),
            Replies(0.0, "evaluate", 2, 0),
            Metrics(0.0, "evaluate", {"eval_loss": 0.25, "eval_acc": 0.9125}),
            Metrics(0.0, "server", {"accuracy": 0.5 + number / 10}),
        ]

    assert events == [
        StrategyStarting(0.0, "FedAvg", 2),
        Metrics(0.0, "server", {"accuracy": 0.5}, round=0),
        *round_events(1),
        *round_events(2),
        Metrics(0.0, "train", {"train_loss": 0.5}, round=1, summary=True),
        Metrics(0.0, "train", {"train_loss": 0.25}, round=2, summary=True),
        Metrics(0.0, "evaluate", {"eval_loss": 0.25, "eval_acc": 0.9125}, round=1, summary=True),
        Metrics(0.0, "evaluate", {"eval_loss": 0.25, "eval_acc": 0.9125}, round=2, summary=True),
        Metrics(0.0, "server", {"accuracy": 0.5}, round=0, summary=True),
        Metrics(0.0, "server", {"accuracy": 0.6}, round=1, summary=True),
        Metrics(0.0, "server", {"accuracy": 0.7}, round=2, summary=True),
    ]


@pytest.mark.parametrize("release", RELEASES)
def test_a_legacy_run_tells_all_of_this(release: str) -> None:
    events = events_of(sample(f"{release}-legacy"))
    third = 1 / 3
    assert events[:12] == [
        StrategyStarting(0.0, LEGACY, 2),
        Metrics(0.0, "server", {"loss": 1.0, "accuracy": 0.5}, round=0),
        RoundStarted(0.0, 1),
        Sampled(0.0, "train", 2, 2),
        Replies(0.0, "train", 2, 0),
        Metrics(0.0, "server", {"loss": 0.5, "accuracy": 0.6}, round=1),
        Sampled(0.0, "evaluate", 2, 2),
        Replies(0.0, "evaluate", 2, 0),
        RoundStarted(0.0, 2),
        Sampled(0.0, "train", 2, 2),
        Replies(0.0, "train", 2, 0),
        Metrics(0.0, "server", {"loss": third, "accuracy": 0.7}, round=2),
    ]
    finished = events[14]
    assert isinstance(finished, StrategyFinished)
    assert finished.rounds == 2
    assert finished.seconds > 1
    # What legacy strategies tell nowhere else:
    assert Metrics(0.0, "train", {"train_loss": 0.5}, round=2, summary=True) in events
    assert Metrics(0.0, "evaluate", {"accuracy": 0.9}, round=1, summary=True) in events
    assert Metrics(0.0, "evaluate", {"loss": 0.25}, round=1, summary=True) in events


@pytest.mark.parametrize("release", RELEASES)
def test_failing_clientapps_are_told(release: str) -> None:
    events = events_of(sample(f"{release}-allfail"))
    assert [e for e in events if isinstance(e, Replies) and e.kind == "train"] == [Replies(0.0, "train", 0, 2)] * 2
    errors = [e for e in events if isinstance(e, ReplyError)]
    assert len(errors) == 4
    assert {e.reason for e in errors} == {
        "<class 'ValueError'>:<'partition 0 has no images'>",
        "<class 'ValueError'>:<'partition 1 has no images'>",
    }


@pytest.mark.parametrize("release", RELEASES)
def test_a_serverapp_that_raises_is_told(release: str) -> None:
    assert events_of(sample(f"{release}-serverraise")) == [AppRaised(0.0, "ServerApp"), TracebackStarted(0.0)]


@pytest.mark.parametrize("release", RELEASES)
def test_a_loop_of_the_apps_own_tells_nothing(release: str) -> None:
    assert events_of(sample(f"{release}-silent")) == []


@pytest.mark.parametrize("release", RELEASES)
def test_nan_inf_and_lists_among_metrics(release: str) -> None:
    metrics = [e for e in events_of(sample(f"{release}-strange")) if isinstance(e, Metrics) and e.scope == "train"]
    assert len(metrics) == 4
    for one in metrics:  # two as they happened, two from the final table, where numbers are words
        assert set(one.values) == {"train_loss", "nan", "inf", "count"}
        assert math.isnan(one.values["nan"])
        assert one.values["inf"] == -math.inf
        assert one.values["count"] == 3.0


LINES = {
    "Waiting for nodes to connect: 1 connected (minimum required: 2).": Waiting(0.0, 1, 2),
    "Sampling failed: number of available clients (1) is less than number of requested clients (2).": Waiting(
        0.0, 1, 2
    ),
    "configure_evaluate: no clients selected, skipping evaluation": Sampled(0.0, "evaluate", 0),
    "configure_fit: no clients selected, cancel": Sampled(0.0, "train", 0),
    "[ROUND 12/300]": RoundStarted(0.0, 12, 300),
    "[ROUND 7]": RoundStarted(0.0, 7),
    "Starting Flower ServerApp, config: num_rounds=3, round_timeout=10.0s": StrategyStarting(0.0, LEGACY, 3),
    "Received error in reply from node 7: Error(code=2)": ReplyError(0.0, "7", "Error(code=2)"),
    "fit progress: (1, np.float64(0.5), {'acc': np.float32(0.25), 'on': True, 'by': 'me'}, 3.0)": Metrics(
        0.0, "server", {"loss": 0.5, "acc": 0.25}, round=1
    ),
    "\t└──> MetricRecord: None": None,
    "\t└──> Aggregated MetricRecord: {}": Metrics(0.0, "train", {}),
    "\t└──> Aggregated MetricRecord: not a dict": None,
    "  + Exception Group Traceback (most recent call last):": TracebackStarted(0.0),
    "I said [ROUND 1/2] myself": None,
    "": None,
}
PREFIXES = {
    "bare": "{}",
    "plain": "INFO :      {}",
    "coloured": "\x1b[92mINFO \x1b[0m:      {}",
    "with times": "\x1b[92mINFO 2026-01-02 03:04:05,678\x1b[0m:      {}",
    "a warning": "\x1b[93mWARNING \x1b[0m:   {}",
}


@pytest.mark.parametrize(
    ("line", "prefix"),
    # Python prints tracebacks without a prefix.
    [(line, prefix) for line in LINES for prefix in PREFIXES if prefix == "bare" or not line.startswith("  +")],
)
def test_single_lines(line: str, prefix: str) -> None:
    expected = LINES[line]
    assert events_of(PREFIXES[prefix].format(line) + "\n") == ([] if expected is None else [expected])


def test_a_metrics_record_over_several_lines() -> None:
    text = "INFO :      \t└──> Aggregated MetricRecord: {'loss': 0.5,\n 'grads': array([1.,\n 2.]),\n 'acc': 0.75}\n"
    assert events_of(text) == [Metrics(0.0, "train", {"loss": 0.5, "acc": 0.75})]


def test_a_metrics_record_that_is_cut_off_does_not_swallow_what_follows() -> None:
    text = "INFO :      \t└──> Aggregated MetricRecord: {'loss': 0.5,\nINFO :      [ROUND 2/3]\n"
    assert events_of(text) == [RoundStarted(0.0, 2, 3)]


def test_aggregated_metrics_without_counts_are_train_and_then_evaluate() -> None:
    record = "INFO :      \t└──> Aggregated MetricRecord: {'x': 1.0}\n"
    round_ = "INFO :      [ROUND 1/2]\n"
    scopes = [e.scope for e in events_of((round_ + record + record) * 2) if isinstance(e, Metrics)]
    assert scopes == ["train", "evaluate", "train", "evaluate"]


def test_a_progress_bar_before_a_line_does_not_hide_it() -> None:
    assert events_of("10%|#\r50%|#####\rINFO :      [ROUND 1/2]\r\n") == [RoundStarted(0.0, 1, 2)]


def test_a_last_line_without_an_end_is_read_at_the_end() -> None:
    parser = LineParser()
    assert parser.feed("INFO :      [ROUND 1/2]", 1.0) == []
    assert parser.finish(2.0) == [RoundStarted(2.0, 1, 2)]


def test_an_endless_line_takes_no_more_than_its_share_of_memory() -> None:
    parser = LineParser()
    for _ in range(100):
        parser.feed("x" * 10_000, 0.0)
    assert len(parser._rest) == LINE_LIMIT
    assert parser.feed("\n[ROUND 1/2]\n", 0.0) == [RoundStarted(0.0, 1, 2)]


def canonical(events: list[object]) -> str:
    return repr(events)  # nan is not equal to itself, but reads the same


@pytest.mark.parametrize("name", ALL_SAMPLES)
def test_one_character_at_a_time_tells_the_same(name: str) -> None:
    text = sample(name)
    assert canonical([*events_of(text, *range(len(text)))]) == canonical([*events_of(text)])


@given(st.data())
def test_wherever_the_text_is_cut_it_tells_the_same(data: st.DataObject) -> None:
    text = sample(data.draw(st.sampled_from(ALL_SAMPLES)))
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=20))
    assert canonical([*events_of(text, *cuts)]) == canonical([*events_of(text)])


PIECES = st.sampled_from([*LINES, *(p.format("[ROUND 1/2]") for p in PREFIXES.values()), "{", "}", "\x1b[", "\n", "\r"])


@given(st.lists(PIECES | st.text(max_size=30), max_size=30))
def test_no_text_is_an_error(pieces: list[str]) -> None:
    text = "\n".join(pieces)
    cuts = range(0, len(text), 7)
    assert canonical([*events_of(text, *cuts)]) == canonical([*events_of(text)])
