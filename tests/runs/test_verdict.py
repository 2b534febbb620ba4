"""What came of a run: every verdict with the observation that leads to it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_samples import RELEASES, progress_of, sample

from flowerbed.runs.events import LEGACY, ReplyError
from flowerbed.runs.progress import Progress
from flowerbed.runs.records import Exchange, Replies, Round, Verdict
from flowerbed.runs.tracebacks import last_traceback
from flowerbed.runs.verdict import FLOWER_STRATEGIES, Observation, judge

SUCCEEDED, DEGRADED, FAILED = Verdict.SUCCEEDED, Verdict.DEGRADED, Verdict.FAILED
UNVERIFIED, STOPPED, TIMED_OUT = Verdict.UNVERIFIED, Verdict.STOPPED, Verdict.TIMED_OUT

# Real logs, with what Flower said of these runs.
REAL = [
    ("good", "completed", SUCCEEDED, "All 2 rounds got a result from every SuperNode that was asked."),
    ("noeval", "completed", SUCCEEDED, "All 2 rounds got a result from every SuperNode that was asked."),
    ("strange", "completed", SUCCEEDED, "All 2 rounds got a result from every SuperNode that was asked."),
    ("legacy", "completed", SUCCEEDED, "All 2 rounds got a result from every SuperNode that was asked."),
    ("partial", "completed", DEGRADED, "1 of 2 rounds was short: round 2 got 1 of 2 train results."),
    ("allfail", "completed", FAILED, "Round 1 of 2 got no train result (2 of 2 SuperNodes failed)."),
    ("legacyfail", "completed", FAILED, "Round 1 of 2 got no train result (2 of 2 SuperNodes failed)."),
    ("serverraise", "failed", FAILED, "The ServerApp failed: RuntimeError: no weights to start from."),
    ("aggraise", "failed", FAILED, "The ServerApp failed in round 2 of 2: ArithmeticError: aggregation went wrong."),
    (
        "silent",
        "completed",
        UNVERIFIED,
        (
            "The run finished, but printed nothing that tells whether SuperNodes did any work, "
            "and the SuperLink did not count their replies."
        ),
    ),
]


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(("what", "outcome", "verdict", "reason"), REAL, ids=[row[0] for row in REAL])
def test_real_runs(release: str, what: str, outcome: str, verdict: Verdict, reason: str) -> None:
    log = sample(f"{release}-{what}")
    seen = Observation(outcome, progress=progress_of(log), serverapp_traceback=last_traceback(log) or "")
    judged = judge(seen)
    assert (judged.verdict, judged.reason) == (verdict, reason)


def rounds(*shapes: str, total: int | None = None, strategy: str = "FedAvg", finished: bool = True) -> Progress:
    """Make a progress of rounds like ``2/2 1/2+1``: each exchange is results/sampled+failures, train before evaluate.

    ``?/2`` is an exchange whose replies were never counted.
    """
    made = []
    for number, shape in enumerate(shapes, 1):
        exchanges = []
        for kind, text in zip(("train", "evaluate"), shape.split(), strict=False):
            results, _, rest = text.partition("/")
            sampled, _, failures = rest.partition("+")
            got = None if results == "?" else int(results)
            exchanges.append(Exchange(kind, int(sampled), got, None if got is None else int(failures or 0)))
        made.append(Round(number, tuple(exchanges)))
    total = len(shapes) if total is None else total
    return Progress(strategies=(strategy,), total_rounds=total, rounds=tuple(made), finished=finished)


def counts(*shapes: str, kind: str = "train") -> tuple[Replies, ...]:
    """Make what was counted of SuperNodes like ``a 2/3+1``: results/asked+failures."""
    made = []
    for shape in shapes:
        name, _, text = shape.partition(" ")
        results, _, rest = text.partition("/")
        asked, _, failures = rest.partition("+")
        error = f"<class 'ValueError'>:<'{name}'>" if failures else ""
        made.append(Replies(f"7{name}", kind, int(asked), int(results), int(failures or 0), error, name))
    return tuple(made)


done = Observation("completed")
GOOD = rounds("2/2 2/2", "2/2 2/2", "2/2 2/2")
TRACE = "Traceback (most recent call last):\n  File ...\n"
RERUN = "and Flower never resumes one: run it again."
IN_ROUND_2 = rounds("2/2 2/2", "?/2", total=3, finished=False)

# fmt: off
MATRIX = {
    # --- Flower says completed: the rounds decide -----------------------------------------------------------------
    "every reply came": (
        replace(done, progress=GOOD),
        SUCCEEDED, "All 3 rounds got a result from every SuperNode that was asked."),
    "one round": (
        replace(done, progress=rounds("2/2")),
        SUCCEEDED, "The round got a result from every SuperNode that was asked."),
    "half of the federation sampled, as the strategy wants it": (
        replace(done, progress=rounds("2/2 4/4", "2/2 4/4"), expected_nodes=4),
        SUCCEEDED, ("All 2 rounds got a result from every SuperNode that was asked "
                   "(rounds 1, 2 asked fewer than all 4).")),
    "evaluation skipped": (
        replace(done, progress=rounds("2/2 0/0", "2/2")),
        SUCCEEDED, "All 2 rounds got a result from every SuperNode that was asked."),
    "evaluation only": (
        replace(done, progress=rounds("0/0 2/2")),
        SUCCEEDED, "The round got a result from every SuperNode that was asked."),
    "a failure in one round": (
        replace(done, progress=rounds("2/2 2/2", "1/2+1 2/2", "2/2 2/2")),
        DEGRADED, "1 of 3 rounds was short: round 2 got 1 of 2 train results."),
    "a reply that never came": (
        replace(done, progress=rounds("2/2 2/2", "2/2 1/2", "1/2 2/2")),
        DEGRADED, "2 of 3 rounds were short: round 2 got 1 of 2 evaluate results; round 3 got 1 of 2 train results."),
    "many short rounds": (
        replace(done, progress=rounds(*["15/16+1"] * 9)),
        DEGRADED, ("9 of 9 rounds were short: round 1 got 15 of 16 train results; round 2 got 15 of 16 train results; "
                  "round 3 got 15 of 16 train results; and 6 more.")),
    # An app may stop early on purpose, and what it did is worth keeping: degraded, and --strict makes it an error.
    "fewer rounds than announced": (
        replace(done, progress=rounds("2/2 2/2", total=3, finished=False)),
        DEGRADED, "Only 1 of 3 announced rounds happened."),
    "fewer rounds, and a short one": (
        replace(done, progress=rounds("2/2", "1/2+1", total=3, finished=False)),
        DEGRADED, ("Only 2 of 3 announced rounds happened, "
                  "and 1 of 2 rounds was short: round 2 got 1 of 2 train results.")),
    "all replies were errors": (
        replace(done, progress=rounds("0/2+2 2/2", "2/2 2/2")),
        FAILED, "Round 1 of 2 got no train result (2 of 2 SuperNodes failed)."),
    "all evaluations were errors": (
        replace(done, progress=rounds("2/2 0/2+2")),
        FAILED, "Round 1 of 1 got no evaluate result (2 of 2 SuperNodes failed)."),
    "no reply in time, which Flower's strategies pass over in silence": (
        replace(done, progress=rounds("?/2 2/2", "?/2 2/2")),
        FAILED, "Round 1 of 2 got no train result (2 SuperNodes asked, no usable reply)."),
    "silence of a strategy of the app's own that did count before": (
        replace(done, progress=rounds("2/2 2/2", "?/2 2/2", strategy="Mine")),
        FAILED, "Round 2 of 2 got no train result (2 SuperNodes asked, no usable reply)."),
    "legacy: nothing came": (
        replace(done, progress=rounds("0/2", strategy=LEGACY)),
        FAILED, "Round 1 of 1 got no train result (2 SuperNodes asked, no usable reply)."),
    "nobody was asked": (
        replace(done, progress=rounds("2/2 2/2", "0/0 0/0")),
        FAILED, "Round 2 of 2 asked no SuperNode to do anything."),
    "rounds announced, none begun": (
        replace(done, progress=rounds(total=3)),
        FAILED, "The strategy announced 3 rounds, but none began."),
    "nothing printed": (
        done,
        UNVERIFIED, ("The run finished, but printed nothing that tells whether SuperNodes did any work, "
                    "and the SuperLink did not count their replies.")),
    "a strategy of the app's own that never counts": (
        replace(done, progress=rounds("?/2 2/2", "?/2 2/2", strategy="Mine")),
        UNVERIFIED, "The run finished, but its log does not say how many SuperNodes replied in rounds 1, 2."),
    "rounds without a word on replies": (
        replace(done, progress=rounds("", "", "", strategy="Mine")),
        UNVERIFIED, "The run finished, but its log does not say how many SuperNodes replied in rounds 1, 2, 3."),
    "silence, where lines may be missing": (
        replace(done, progress=rounds("2/2 2/2", "?/2 2/2"), log_complete=False),
        UNVERIFIED, "The run finished, but its log does not say how many SuperNodes replied in round 2."),
    "errors count, also where lines may be missing": (
        replace(done, progress=rounds("0/2+2", "?/2"), log_complete=False),
        FAILED, "Round 1 of 2 got no train result (2 of 2 SuperNodes failed)."),
    "the end of the log is missing": (
        replace(done, progress=rounds("2/2 2/2", "2/2", total=3, finished=False), log_complete=False),
        UNVERIFIED, "The run finished, but its log broke off in round 2 of 3."),
    "lines may be missing, but none that matters": (
        replace(done, progress=GOOD, log_complete=False),
        SUCCEEDED, "All 3 rounds got a result from every SuperNode that was asked."),
    # --- the SuperLink counted: that decides what the log leaves open ---------------------------------------------
    "a loop of the app's own that worked": (
        replace(done, replies=counts("a 6/6", "b 6/6")),
        SUCCEEDED, "12 replies from 2 SuperNodes, none an error."),
    "one message, one reply": (
        replace(done, replies=counts("a 1/1")),
        SUCCEEDED, "1 reply from 1 SuperNode, none an error."),
    "a loop of the app's own, and every ClientApp raised": (
        replace(done, replies=counts("a 0/3+3", "b 0/3+3")),
        FAILED, "No SuperNode replied with a result: 6 of 6 replies were errors (a, b)."),
    "a loop of the app's own, and nobody ever replied": (
        replace(done, replies=counts("a 0/3", "b 0/1")),
        FAILED, "No SuperNode replied with a result: 4 messages got no reply (a, b)."),
    "one kind of message without any result": (
        replace(done, replies=(*counts("a 3/3", "b 3/3"), *counts("a 0/1+1", "b 0/1", kind="query"))),
        FAILED, ("No SuperNode replied to a message of type 'query' with a result: "
                "1 of 1 reply was an error (a), and 1 message got no reply (b).")),
    "one SuperNode of two raised": (
        replace(done, replies=counts("a 3/3", "b 2/3+1")),
        DEGRADED, "1 of 6 replies was an error (b)."),
    "a SuperNode that fell silent": (
        replace(done, replies=counts("a 3/3", "b 1/3")),
        DEGRADED, "2 messages got no reply (b)."),
    "a SuperNode whose name nobody knows": (
        replace(done, replies=(Replies("77", "train", 1, 0, 1),)),
        FAILED, "No SuperNode replied with a result: 1 of 1 reply was an error (SuperNode 77)."),
    "nobody was asked, and it was counted": (
        replace(done, replies=()),
        UNVERIFIED, "The run finished, but its ServerApp sent no message to any SuperNode."),
    "a strategy that announced 0 rounds": (
        replace(done, progress=rounds(total=0), replies=()),
        UNVERIFIED, "The strategy announced 0 rounds, so it asked no SuperNode for anything."),
    "0 rounds, and nobody counted": (
        replace(done, progress=rounds(total=0)),
        UNVERIFIED, "The strategy announced 0 rounds, so it asked no SuperNode for anything."),
    "rounds that do not tell of replies, counted": (
        replace(done, progress=rounds("?/2", "?/2", strategy="Mine"), replies=counts("a 2/2", "b 2/2")),
        SUCCEEDED, "4 replies from 2 SuperNodes, none an error."),
    "rounds that do not tell of replies, and errors were counted": (
        replace(done, progress=rounds("?/2", "?/2", strategy="Mine"), replies=counts("a 2/2", "b 1/2+1")),
        DEGRADED, "1 of 4 replies was an error (b)."),
    "too few rounds that do not tell of replies": (
        replace(done, progress=rounds("?/2", strategy="Mine", total=3, finished=False), replies=counts("a 1/1")),
        DEGRADED, "Only 1 of 3 announced rounds happened."),
    "rounds that hide an error": (
        replace(done, progress=GOOD, replies=counts("a 6/6", "b 5/6+1")),
        DEGRADED, ("All 3 rounds got a result from every SuperNode that was asked, "
                  "but 1 of 6 replies was an error (b).")),
    "rounds that waited for fewer than they asked, as the strategy wants it": (
        replace(done, progress=GOOD, replies=counts("a 6/6", "b 5/6")),
        SUCCEEDED, "All 3 rounds got a result from every SuperNode that was asked."),
    "rounds that failed, with names": (
        replace(done, progress=rounds("0/2+2"), replies=counts("a 0/1+1", "b 0/1+1")),
        FAILED, "Round 1 of 1 got no train result (2 of 2 SuperNodes failed). Errors came from a, b."),
    "rounds that were short, with names": (
        replace(done, progress=rounds("1/2+1"), replies=counts("a 1/1", "b 0/1+1")),
        DEGRADED, "1 of 1 round was short: round 1 got 1 of 2 train results. Errors came from b."),
    "an app that gave up after errors": (
        Observation("failed", serverapp_traceback=f"{TRACE}KeyError: 'x'", replies=counts("a 0/1+1")),
        FAILED, "The ServerApp failed: KeyError: 'x'. Errors came from a."),
    "an app that failed by itself": (
        Observation("failed", serverapp_traceback=f"{TRACE}KeyError: 'x'", replies=counts("a 1/1")),
        FAILED, "The ServerApp failed: KeyError: 'x'."),
    "took too long, while ClientApps raised": (
        Observation("stopped", timed_out=True, timeout=9.0, replies=counts("a 0/1+1", "b 1/1")),
        TIMED_OUT, "The run took longer than 9 s and was stopped. Errors came from a."),
    # --- asked to stop, too late: what completed, completed -------------------------------------------------------
    "completed before it heard of the stop": (
        replace(done, progress=GOOD, stop_asked=True),
        SUCCEEDED, "All 3 rounds got a result from every SuperNode that was asked."),
    "completed as its time ran out": (
        replace(done, progress=GOOD, timed_out=True, timeout=60.0),
        SUCCEEDED, "All 3 rounds got a result from every SuperNode that was asked."),
    # --- it did not complete --------------------------------------------------------------------------------------
    "the ServerApp raised": (
        Observation("failed", progress=IN_ROUND_2, serverapp_traceback=f"{TRACE}KeyError: 'x'"),
        FAILED, "The ServerApp failed in round 2 of 3: KeyError: 'x'."),
    "an error with nothing but Flower's word": (
        Observation("failed", "No heartbeat received from the run.", IN_ROUND_2),
        FAILED, "The ServerApp failed in round 2 of 3: No heartbeat received from the run."),
    "an error without a word": (
        Observation("failed"),
        FAILED, "The ServerApp failed."),
    "the ServerApp's process was lost": (
        Observation("", progress=IN_ROUND_2, serverapp_lost="its SuperExec was killed"),
        FAILED, "The ServerApp was lost in round 2 of 3 (its SuperExec was killed), " + RERUN),
    "lost, and Flower noticed": (
        Observation("failed", "No heartbeat", IN_ROUND_2, serverapp_lost="it was killed"),
        FAILED, "The ServerApp was lost in round 2 of 3 (it was killed), " + RERUN),
    "failed before it heard of the stop": (
        Observation("failed", progress=IN_ROUND_2, stop_asked=True,
                    serverapp_traceback=f"{TRACE}OSError"),
        FAILED, "The ServerApp failed in round 2 of 3: OSError."),
    "stopped on request": (
        Observation("stopped", progress=IN_ROUND_2, stop_asked=True),
        STOPPED, "The run was stopped on request in round 2 of 3."),
    "stopped before it began": (
        Observation("stopped", stop_asked=True),
        STOPPED, "The run was stopped on request."),
    "stopped by somebody else": (
        Observation("stopped", progress=IN_ROUND_2),
        STOPPED, "The run was stopped in round 2 of 3, but not by Flowerbed."),
    "took too long": (
        Observation("stopped", progress=IN_ROUND_2, timed_out=True, timeout=90.0),
        TIMED_OUT, "The run took longer than 90 s and was stopped in round 2 of 3."),
    "took too long, and never answered": (
        Observation("", timed_out=True),
        TIMED_OUT, "The run took longer than the time it was given and was stopped."),
    "no end was seen": (
        Observation("", progress=IN_ROUND_2),
        UNVERIFIED, "Flower never said how the run ended in round 2 of 3."),
}
# fmt: on


@pytest.mark.parametrize("case", MATRIX)
def test_matrix(case: str) -> None:
    seen, verdict, reason = MATRIX[case]
    judged = judge(seen)
    assert (judged.verdict, judged.reason) == (verdict, reason)


def test_metrics_say_that_somebody_replied_though_nobody_counted() -> None:
    seen = replace(done, progress=rounds("?/2"))
    assert judge(seen).verdict is FAILED
    measured = replace(seen.progress.rounds[0], metrics={"train/loss": 0.5})
    assert judge(replace(seen, progress=replace(seen.progress, rounds=(measured,)))).verdict is UNVERIFIED


CLIENT, SERVER = (
    f"{TRACE}ValueError: c",
    f"{TRACE}OSError: s",
)
ERRORS = (ReplyError(0.0, "7", "ValueError: c"), ReplyError(1.0, "8", "ValueError: d"))
DETAILS = {
    "clients failed: the ClientApp's": (
        replace(done, progress=rounds("0/2+2"), clientapp_traceback=CLIENT, serverapp_traceback=SERVER), CLIENT),
    "clients fell short: the ClientApp's": (
        replace(done, progress=rounds("1/2+1"), clientapp_traceback=CLIENT), CLIENT),
    "clients failed and left no traceback: their replies": (
        replace(done, progress=replace(rounds("0/2+2"), errors=ERRORS)),
        "SuperNode 7: ValueError: c\nSuperNode 8: ValueError: d"),
    "clients failed and left no traceback, and somebody counted: what they said": (
        replace(done, progress=replace(rounds("0/2+2"), errors=ERRORS), replies=counts("a 0/1+1", "b 0/1+1")),
        "a: ValueError: a\nb: ValueError: b"),
    "clients failed and left no traceback: their replies, by name": (
        replace(done, progress=replace(rounds("0/2+2"), errors=ERRORS), nodes={"7": "site-0"}),
        "site-0: ValueError: c\nSuperNode 8: ValueError: d"),
    "all clients of an own loop failed: the ClientApp's": (
        replace(done, replies=counts("a 0/1+1"), clientapp_traceback=CLIENT, serverapp_traceback=SERVER), CLIENT),
    "an own loop worked: nothing to explain": (
        replace(done, replies=counts("a 1/1"), clientapp_traceback=CLIENT), ""),
    "the ServerApp of an own loop failed for want of results: both, the cause first": (
        Observation("failed", "words", replies=counts("a 0/1+1"), serverapp_traceback=SERVER,
                    clientapp_traceback=CLIENT),
        f"{CLIENT}\n\nand then, in the ServerApp:\n\n{SERVER}"),
    "stopped after errors: the ClientApp's": (
        Observation("stopped", stop_asked=True, replies=counts("a 0/1+1"), clientapp_traceback=CLIENT,
                    serverapp_traceback=SERVER), CLIENT),
    "took too long, with errors in the log alone: the ClientApp's": (
        Observation("stopped", timed_out=True, progress=rounds("0/2+2", "?/2"), clientapp_traceback=CLIENT), CLIENT),
    "stopped without any error: a traceback is only how it ended": (
        Observation("stopped", stop_asked=True, replies=counts("a 1/2"), clientapp_traceback=CLIENT), ""),
    "the ServerApp failed: its own": (
        Observation("failed", "words", IN_ROUND_2, serverapp_traceback=SERVER, clientapp_traceback=CLIENT), SERVER),
    "the ServerApp failed for want of results: both, the cause first": (
        Observation("failed", "words", rounds("0/2+2"), serverapp_traceback=SERVER, clientapp_traceback=CLIENT),
        f"{CLIENT}\n\nand then, in the ServerApp:\n\n{SERVER}"),
    "the ServerApp failed and left no traceback: Flower's words": (Observation("failed", "words"), "words"),
    "succeeded: nothing to explain": (replace(done, progress=GOOD, clientapp_traceback=CLIENT), ""),
}  # fmt: skip


@pytest.mark.parametrize("case", DETAILS)
def test_the_detail_is_what_explains_it_best(case: str) -> None:
    seen, detail = DETAILS[case]
    assert judge(seen).detail == detail


COUNTS = st.none() | st.integers(0, 20)
EXCHANGES = st.builds(Exchange, st.sampled_from(["train", "evaluate", "query"]), COUNTS, COUNTS, COUNTS)
ROUNDS = st.builds(
    Round,
    st.integers(1, 9),
    st.lists(EXCHANGES, max_size=3).map(tuple),
    st.dictionaries(st.sampled_from(["train/a", "server/b"]), st.floats(), max_size=2),
)
PROGRESSES = st.builds(
    Progress,
    strategies=st.lists(st.sampled_from([*sorted(FLOWER_STRATEGIES)[:2], "Mine"]), max_size=2).map(tuple),
    total_rounds=COUNTS,
    rounds=st.lists(ROUNDS, max_size=4).map(tuple),
    finished=st.booleans(),
)
FEW = st.integers(0, 3)
REPLIES = st.builds(
    lambda node, kind, results, failures, silent: Replies(
        node, kind, results + failures + silent, results, failures, "oops" if failures else "", ""
    ),
    *(st.sampled_from("abc"), st.sampled_from(["train", "query"]), FEW, FEW, FEW),
)
OBSERVATIONS = st.builds(
    Observation,
    outcome=st.sampled_from(["completed", "failed", "stopped", "", "something new"]),
    details=st.text(max_size=20),
    progress=PROGRESSES,
    stop_asked=st.booleans(),
    timed_out=st.booleans(),
    serverapp_lost=st.sampled_from(["", "it was killed"]),
    serverapp_traceback=st.sampled_from(["", SERVER]),
    clientapp_traceback=st.sampled_from(["", CLIENT]),
    expected_nodes=COUNTS,
    log_complete=st.booleans(),
    timeout=st.none() | st.floats(0, 1e6),
    replies=st.none() | st.lists(REPLIES, max_size=4).map(tuple),
)


@given(OBSERVATIONS)
def test_there_is_a_verdict_for_everything_and_it_never_claims_too_much(seen: Observation) -> None:
    judged = judge(seen)
    assert judged.reason.strip()
    assert "\n" not in judged.reason
    assert judged.reason.endswith((".", "!", "?"))
    if judged.verdict in (SUCCEEDED, DEGRADED):
        assert seen.outcome == "completed"
        assert seen.progress.rounds or seen.replies
        if judged.verdict is SUCCEEDED:
            assert not any(one.failures for one in seen.replies or ())
        if seen.replies and all(any(o.results for o in seen.replies if o.kind == k.kind) for k in seen.replies):
            return  # rounds whose log leaves something open may be proven by this
        for one in seen.progress.rounds:
            told = [e for e in one.exchanges if e.sampled != 0 or e.results]
            assert told
            assert all(e.results for e in told)
            if judged.verdict is SUCCEEDED:
                assert not any(e.failures for e in told)


def test_a_serverapp_that_exits_is_not_told_to_run_again() -> None:
    judged = judge(Observation("failed", serverapp_lost="its process ended with status 0"))
    assert judged.reason == (
        "The ServerApp ended before its run did (its process ended with status 0):"
        " let it return instead of calling sys.exit."
    )
