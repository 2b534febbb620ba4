"""What a run that is not finished waits for."""

from __future__ import annotations

import pytest

from flowerbed.runs.events import LEGACY, LogEvent, Replies, RoundStarted, Sampled, StrategyStarting, Waiting
from flowerbed.runs.history import line
from flowerbed.runs.progress import Progress, advance
from flowerbed.runs.records import Phase, RunRecord, Verdict
from flowerbed.runs.run_log import RunLog
from flowerbed.runs.verdict import Observation, judge
from flowerbed.runs.waiting import Seen, waits_for

CHANGE = (
    "lower `min_available_nodes`, `min_train_nodes` and `min_evaluate_nodes` of the app's strategy,"
    " or raise `replicas` in the federation file"
)


def told(*events: LogEvent) -> Progress:
    progress = Progress()
    for event in events:
        progress = advance(progress, event)
    return progress


ROUND = (StrategyStarting(0.0, "FedAvg", 3), RoundStarted(0.0, 1, 3))
WAITING = told(*ROUND, Waiting(0.0, 1, 2))


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (Seen(1, 1), f"SuperNodes: 1 connected, 2 required; the federation has only 1: {CHANGE}"),
        (Seen(0, 1), f"SuperNodes: 1 connected, 2 required; the federation has only 1: {CHANGE}"),
        (Seen(1, 2), "SuperNodes: 1 connected, 2 required; 1 of 2 SuperNodes online"),
        (
            Seen(1, 3, away=["site-1", "site-2"]),
            "SuperNodes: 1 connected, 2 required; 1 of 3 SuperNodes online (site-1, site-2 are away)",
        ),
        (
            Seen(1, 1, external_away=["clinic-0"]),
            "SuperNodes: 1 connected, 2 required; clinic-0 can still come from elsewhere",
        ),
        (Seen(0, 0, 1, ["a-1", "a-2"]), "SuperNodes: 1 connected, 2 required; a-1, a-2 can still come from elsewhere"),
        (Seen(2, 2), "SuperNodes: 1 connected, 2 required"),  # it has just come
    ],
)
def test_a_strategy_that_waits_for_supernodes(seen: Seen, words: str) -> None:
    assert waits_for(Phase.RUNNING, WAITING, 0.0, lambda: seen) == words


def test_a_legacy_strategy_waits_without_a_word() -> None:
    """Its client manager blocks, for a day, until enough clients are there."""
    progress = told(StrategyStarting(0.0, LEGACY, 3), RoundStarted(0.0, 1))
    assert waits_for(Phase.RUNNING, progress, 1.0, lambda: Seen(2, 2)) == ""
    assert waits_for(Phase.RUNNING, progress, 6.0, lambda: Seen(2, 2)) == (
        "more SuperNodes than the 2 of the federation, which are all online:"
        " lower `min_available_clients`, `min_fit_clients` and `min_evaluate_clients` of the app's strategy,"
        " or raise `replicas` in the federation file"
    )
    assert waits_for(Phase.RUNNING, progress, 6.0, lambda: Seen(1, 2, away=["site-1"])) == (
        "SuperNodes: 1 of 2 SuperNodes online (site-1 is away)"
    )
    assert waits_for(Phase.RUNNING, progress, 6.0, lambda: Seen(2, 2, 1, ["clinic-1"])) == (
        "SuperNodes: 3 online; clinic-1 can still come from elsewhere"
    )
    sampled = advance(progress, Sampled(0.0, "train", 2, 2))
    assert waits_for(Phase.RUNNING, sampled, 600.0, lambda: Seen(2, 2)) == ""


def test_a_legacy_strategy_that_asks_for_a_model_while_nobody_is_there() -> None:
    progress = told(StrategyStarting(0.0, LEGACY, 3))
    assert waits_for(Phase.RUNNING, progress, 6.0, lambda: Seen(0, 2)) == "SuperNodes: 0 of 2 SuperNodes online"
    assert waits_for(Phase.RUNNING, progress, 600.0, lambda: Seen(2, 2)) == ""


def test_a_loop_of_the_apps_own_that_waits_as_flowers_examples_do() -> None:
    """quickstart-pandas and others; that the waiting is over nothing says but the next line."""
    log = RunLog()
    log.feed("INFO :      Starting round 1/3\n" + 2 * "INFO :      Waiting for nodes to connect...\n", 1.0)
    assert log.progress.waiting == Waiting(1.0)
    assert waits_for(Phase.RUNNING, log.progress, 1.0, lambda: Seen(1, 1)) == "SuperNodes: 1 online"
    assert waits_for(Phase.RUNNING, log.progress, 6.0, lambda: Seen(1, 1)) == (
        "more SuperNodes than the 1 of the federation, which are all online:"
        " lower how many the app's own loop requires, or raise `replicas` in the federation file"
    )
    log.feed("INFO :      Sampled 2 nodes (out of 2)\n", 9.0)
    assert log.progress.waiting is None


def test_a_run_that_nobody_takes() -> None:
    assert waits_for(Phase.PENDING, Progress(), 1.0, lambda: Seen(2, 2, serverapp=False)) == ""
    assert waits_for(Phase.PENDING, Progress(), 6.0, lambda: Seen(2, 2, serverapp=False)) == (
        "the ServerApp's SuperExec, which is not connected"
    )
    assert waits_for(Phase.PENDING, Progress(), 6.0, lambda: Seen(2, 2)) == ""


def test_replies_that_a_supernode_owes_which_is_offline() -> None:
    asked = told(*ROUND, Sampled(0.0, "train", 2, 2))
    assert waits_for(Phase.RUNNING, asked, 0.0, lambda: Seen(1, 2, away=["site-1"])) == (
        "replies to train; 1 of 2 SuperNodes online (site-1 is away)"
    )
    assert waits_for(Phase.RUNNING, asked, 600.0, lambda: Seen(2, 2)) == ""
    answered = advance(asked, Replies(0.0, "train", 2, 0))
    assert waits_for(Phase.RUNNING, answered, 0.0, lambda: Seen(1, 2)) == ""


def test_the_federation_is_not_looked_at_for_a_run_that_trains_or_is_over() -> None:
    def look() -> Seen:
        raise AssertionError

    assert waits_for(Phase.RUNNING, told(*ROUND), 600.0, look) == ""
    assert waits_for(Phase.FINISHED, WAITING, 600.0, look) == ""
    assert waits_for(Phase.STARTING, Progress(), 600.0, look) == ""


WAITED = "SuperNodes: 1 connected, 2 required; 1 of 2 SuperNodes online"


@pytest.mark.parametrize(
    ("seen", "verdict", "reason"),
    [
        (
            Observation("stopped", progress=WAITING, timed_out=True, timeout=20.0, waited_for=WAITED),
            Verdict.TIMED_OUT,
            f"The run took longer than 20 s and was stopped in round 1 of 3, while it waited for {WAITED}.",
        ),
        (
            Observation("stopped", progress=WAITING, stop_asked=True, waited_for=WAITED),
            Verdict.STOPPED,
            f"The run was stopped on request in round 1 of 3, while it waited for {WAITED}.",
        ),
        (
            Observation("stopped", progress=Progress(), waited_for="the ServerApp's SuperExec"),
            Verdict.STOPPED,
            "The run was stopped, but not by Flowerbed, while it waited for the ServerApp's SuperExec.",
        ),
    ],
)
def test_the_reason_says_what_a_run_waited_for(seen: Observation, verdict: Verdict, reason: str) -> None:
    assert (judge(seen).verdict, judge(seen).reason) == (verdict, reason)


def test_a_run_in_one_line_says_it_too() -> None:
    run = RunRecord(2, "17", "me/app==1.0", Phase.RUNNING, waits_for="SuperNodes: 1 connected, 2 required")
    assert line(run) == "run 2: running, waits for SuperNodes: 1 connected, 2 required (me/app==1.0)"
