"""What came of a run, judged from what was observed and never copied from what Flower says.

Flower ends a run ``finished:completed`` when the ServerApp returned, also if every ClientApp failed (1.22 to 1.42).
So a completed run is judged by its rounds, and each exchange of a round by the replies that were counted:

=====================================  =============================================================
an exchange is                         when
=====================================  =============================================================
full                                   as many results as SuperNodes were asked, no failures
short                                  some results, but fewer than were asked, or failures
empty                                  no result at all, though SuperNodes were asked
skipped                                the strategy asked nobody
unknown                                the log does not say how many replied
=====================================  =============================================================

Flower's own strategies print nothing at all when no reply came in time (``_check_and_log_replies`` returns early), so
there silence is *empty*; of an app's own strategy that never counts aloud it is *unknown*.

Where the SuperLink counted replies itself, they decide what the log leaves open: all of a run that tells of no round, a
round with an unknown exchange, and whether there were errors at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from flowerbed.counting import counted as _count
from flowerbed.runs import absence, replied
from flowerbed.runs.events import LEGACY
from flowerbed.runs.progress import Progress
from flowerbed.runs.records import Exchange, Replies, Round, Verdict
from flowerbed.runs.tracebacks import summary_of

# ``flwr.serverapp.strategy`` in 1.22 to 1.42; all of them count replies through FedAvg._check_and_log_replies.
FLOWER_STRATEGIES = frozenset(
    {
        LEGACY,
        "Bulyan",
        "DifferentialPrivacyClientSideAdaptiveClipping",
        "DifferentialPrivacyClientSideFixedClipping",
        "DifferentialPrivacyServerSideAdaptiveClipping",
        "DifferentialPrivacyServerSideFixedClipping",
        "FedAdagrad",
        "FedAdam",
        "FedAvg",
        "FedAvgM",
        "FedMedian",
        "FedProx",
        "FedTrimmedAvg",
        "FedXgbBagging",
        "FedXgbCyclic",
        "FedYogi",
        "Krum",
        "MultiKrum",
        "QFedAvg",
    }
)


@dataclass(frozen=True)
class Observation:
    """All that was seen of a run that is over.

    Parameters
    ----------
    outcome : str
        Flower's own word: ``completed``, ``failed``, ``stopped``, or empty where it never said.
    details : str
        Flower's words beside it.
    progress : Progress
        What the ServerApp's log told.
    stop_asked, timed_out : bool
        We asked Flower to stop it: for a user, or because it took too long.
    serverapp_lost : str
        How the ServerApp was lost while it ran, as a clause (``its SuperExec ended``); empty where it was not.
    serverapp_traceback, clientapp_traceback : str
        The last in the ServerApp's log, and in a ClientApp's; empty where there is none.
    expected_nodes : int or None
        SuperNodes in the federation.
    log_complete : bool
        False where parts of the ServerApp's log may be missing (its end did not come, its SuperLink died meanwhile):
        silence then says nothing.
    timeout : float or None
        Seconds that the run was given.
    waited_for : str
        What it waited for when it was last seen, in words that go on from "waited for"; empty if for nothing.
    done_meanwhile : tuple of str
        What Flowerbed did to the federation while the run went on (``restarted superlink (another superlink.crt)``).
    superlink_away : float
        For how long, in seconds, the SuperLink did not answer at the most.
    replies : tuple of Replies or None
        What the SuperLink counted; None where nobody counted.
    nodes : mapping of str to str
        SuperNodes' names by Flower's ids of them.
    """

    outcome: str
    details: str = ""
    progress: Progress = field(default_factory=Progress)
    stop_asked: bool = False
    timed_out: bool = False
    serverapp_lost: str = ""
    serverapp_traceback: str = ""
    clientapp_traceback: str = ""
    expected_nodes: int | None = None
    log_complete: bool = True
    timeout: float | None = None
    waited_for: str = ""
    done_meanwhile: tuple[str, ...] = ()
    superlink_away: float = 0.0
    replies: tuple[Replies, ...] | None = None
    nodes: Mapping[str, str] = field(default_factory=dict)

    @property
    def clients_failed(self) -> bool:
        """Whether some reply is known to have been an error."""
        told = (exchange.failures for one in self.progress.rounds for exchange in one.exchanges)
        return bool(replied.failing(self.replies) or self.progress.errors or any(told))


@dataclass(frozen=True)
class Judgement:
    """A verdict, why in one sentence, and the text that explains it (a traceback, or empty)."""

    verdict: Verdict
    reason: str
    detail: str = ""


def judge(seen: Observation) -> Judgement:
    """Judge a run that is over."""
    found = _judge(seen)
    if found.verdict in (Verdict.SUCCEEDED, Verdict.STOPPED):
        return found
    done = " and ".join(dict.fromkeys(seen.done_meanwhile))
    by_us = f" Meanwhile Flowerbed {done}." if done else ""
    return replace(found, reason=f"{found.reason}{by_us}{absence.said(seen.superlink_away)}")


def _judge(seen: Observation) -> Judgement:
    if seen.outcome == "completed":
        return _judge_rounds(seen)
    if seen.outcome == "failed" and not (seen.timed_out or seen.stop_asked):
        return _failed(seen)
    if seen.outcome == "failed" and seen.serverapp_traceback:  # it failed before our request was heard
        return _failed(seen)
    if seen.timed_out:
        limit = "the time it was given" if seen.timeout is None else f"{seen.timeout:g} s"
        reason = f"The run took longer than {limit} and was stopped{_how_far(seen)}{_while_waiting(seen)}."
        return _ended(Verdict.TIMED_OUT, reason, seen)
    if seen.stop_asked:
        reason = f"The run was stopped on request{_how_far(seen)}{_while_waiting(seen)}."
        return _ended(Verdict.STOPPED, reason, seen)
    if seen.serverapp_lost:
        return Judgement(Verdict.FAILED, _lost(seen), _server_detail(seen))
    if seen.outcome == "stopped":
        reason = f"The run was stopped{_how_far(seen)}, but not by Flowerbed{_while_waiting(seen)}."
        return _ended(Verdict.STOPPED, reason, seen)
    if seen.serverapp_traceback and "ServerApp" in seen.progress.raised:
        return _failed(seen)
    return Judgement(Verdict.UNVERIFIED, f"Flower never said how the run ended{_how_far(seen)}.", _server_detail(seen))


class _Exchange(Enum):
    FULL = "full"
    SHORT = "short"
    EMPTY = "empty"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"


def _judge_rounds(seen: Observation) -> Judgement:
    """Judge a run of which Flower says that it completed."""
    progress = seen.progress
    rounds, total = progress.rounds, progress.total_rounds
    if not rounds and not total:
        return _judge_without_rounds(seen)
    if not rounds:
        begun = f"The strategy announced {_count(total or 0, 'round')}, but none began"
        if not seen.log_complete:
            return Judgement(Verdict.UNVERIFIED, f"{begun} in the part of the log that arrived.")
        return Judgement(Verdict.FAILED, f"{begun}.", _client_detail(seen))

    aloud = {e.kind for one in rounds for e in one.exchanges if e.results is not None}
    kinds = [[_classify(e, one, seen, aloud) for e in one.exchanges] for one in rounds]

    for one, states in zip(rounds, kinds, strict=True):
        if _Exchange.EMPTY in states:
            reason = f"Round {_of_total(one, total)} got no {_empty(one, states)}."
            return _with_names(Verdict.FAILED, reason, seen)
        if states and all(state is _Exchange.SKIPPED for state in states):
            reason = f"Round {_of_total(one, total)} asked no SuperNode to do anything."
            return Judgement(Verdict.FAILED, reason, _client_detail(seen))

    silent = [one for one, states in zip(rounds, kinds, strict=True) if not states or _Exchange.UNKNOWN in states]
    missing = (total or 0) - len(rounds)
    if silent and seen.replies is not None:
        verdict, reason = replied.verdict_of(seen.replies)
        if verdict is not Verdict.SUCCEEDED or missing <= 0:
            return Judgement(verdict, reason, "" if verdict is Verdict.SUCCEEDED else _client_detail(seen))
    elif silent:
        which = _numbers([one.number for one in silent])
        reason = f"The run finished, but its log does not say how many SuperNodes replied in {which}."
        return Judgement(Verdict.UNVERIFIED, reason, _client_detail(seen))

    short = [one for one, states in zip(rounds, kinds, strict=True) if _Exchange.SHORT in states]
    if not seen.log_complete and (missing > 0 or not progress.finished):
        reason = f"The run finished, but its log broke off in round {_of_total(rounds[-1], total)}."
        return Judgement(Verdict.UNVERIFIED, reason, _client_detail(seen))
    if short or missing > 0:
        return _with_names(Verdict.DEGRADED, _degraded_reason(rounds, short, total, missing), seen)
    few = [one for one in rounds if _asked_few(one, seen.expected_nodes)]
    note = f" ({_numbers([one.number for one in few])} asked fewer than all {seen.expected_nodes})" if few else ""
    every = "The round" if len(rounds) == 1 else f"All {len(rounds)} rounds"
    reason = f"{every} got a result from every SuperNode that was asked{note}"
    if bad := [one for one in seen.replies or () if one.failures]:  # a strategy that leaves errors out of its count
        return Judgement(Verdict.DEGRADED, f"{reason}, but {replied.faults(bad)}.", _client_detail(seen))
    return Judgement(Verdict.SUCCEEDED, f"{reason}.")


def _judge_without_rounds(seen: Observation) -> Judgement:
    """Judge a run whose log tells of no round: an app with a loop of its own, or a strategy that had nothing to do."""
    if seen.replies:
        verdict, reason = replied.verdict_of(seen.replies)
        return Judgement(verdict, reason, "" if verdict is Verdict.SUCCEEDED else _client_detail(seen))
    if seen.progress.total_rounds == 0:
        return Judgement(Verdict.UNVERIFIED, "The strategy announced 0 rounds, so it asked no SuperNode for anything.")
    if seen.replies is not None:
        return Judgement(*replied.verdict_of(seen.replies))
    unknown = "The run finished, but printed nothing that tells whether SuperNodes did any work"
    return Judgement(Verdict.UNVERIFIED, f"{unknown}, and the SuperLink did not count their replies.")


def _with_names(verdict: Verdict, reason: str, seen: Observation) -> Judgement:
    """Judge a run that SuperNodes failed, and name them where they are known."""
    return Judgement(verdict, _naming(reason, seen), _client_detail(seen))


def _naming(reason: str, seen: Observation) -> str:
    names = replied.failing(seen.replies)
    return f"{reason} Errors came from {names}." if names else reason


def _ended(verdict: Verdict, reason: str, seen: Observation) -> Judgement:
    """Judge a run that was stopped; what ClientApps did wrong until then may be why it went nowhere."""
    if not seen.clients_failed:
        return Judgement(verdict, reason)
    return _with_names(verdict, reason, replace(seen, serverapp_traceback=""))


def _classify(exchange: Exchange, one: Round, seen: Observation, counted: set[str]) -> _Exchange:
    results, failures, sampled = exchange.results, exchange.failures or 0, exchange.sampled
    if results is None:
        if sampled == 0:
            return _Exchange.SKIPPED
        if not seen.log_complete or any(name.startswith(f"{exchange.kind}/") for name in one.metrics):
            return _Exchange.UNKNOWN  # a line may be missing; metrics say that somebody did reply
        counts_aloud = exchange.kind in counted or FLOWER_STRATEGIES.issuperset(seen.progress.strategies or ("?",))
        return _Exchange.EMPTY if counts_aloud else _Exchange.UNKNOWN
    if results == 0:
        return _Exchange.SKIPPED if sampled == 0 and not failures else _Exchange.EMPTY
    if failures or (sampled is not None and results < sampled):
        return _Exchange.SHORT
    return _Exchange.FULL


def _failed(seen: Observation) -> Judgement:
    """Judge a run that ended with an error of the ServerApp."""
    if seen.serverapp_lost and not seen.serverapp_traceback:
        return Judgement(Verdict.FAILED, _lost(seen), _server_detail(seen))
    said = summary_of(seen.serverapp_traceback) or next(iter(seen.details.strip().splitlines()), "")
    reason = f"The ServerApp failed{_how_far(seen)}{f': {said}' if said else ''}"
    reason = reason if reason.endswith((".", "!", "?")) else f"{reason}."
    alone = not seen.progress.rounds and replied.failing(seen.replies)
    if not (alone or _last_came_back_empty(seen.progress)):
        return Judgement(Verdict.FAILED, reason, _server_detail(seen))
    # Many apps raise when there is nothing to aggregate: the ClientApp's error is the cause.
    said = _client_detail(replace(seen, serverapp_traceback="")).rstrip()
    parts = [said, "and then, in the ServerApp:", seen.serverapp_traceback] if said and seen.serverapp_traceback else []
    detail = "\n\n".join(parts) or _server_detail(seen)
    return Judgement(Verdict.FAILED, _naming(reason, seen), detail)


def _last_came_back_empty(progress: Progress) -> bool:
    told = [e for one in progress.rounds[-1:] for e in one.exchanges]
    return bool(told) and not told[-1].results and bool(told[-1].failures)


def _lost(seen: Observation) -> str:
    how = seen.serverapp_lost.strip().rstrip(".")
    if how.endswith("ended with status 0"):
        ended = f"The ServerApp ended before its run did{_how_far(seen)} ({how})"
        return f"{ended}: let it return instead of calling sys.exit."
    return f"The ServerApp was lost{_how_far(seen)} ({how}), and Flower never resumes one: run it again."


def _degraded_reason(rounds: Sequence[Round], short: Sequence[Round], total: int | None, missing: int) -> str:
    parts = []
    if missing > 0:
        parts.append(f"only {len(rounds)} of {_count(total or 0, 'announced round')} happened")
    if short:
        was = "was" if len(short) == 1 else "were"
        told = "; ".join(f"round {one.number} got {_shortest(one)}" for one in short[:3])
        more = f"; and {len(short) - 3} more" if len(short) > 3 else ""
        parts.append(f"{len(short)} of {_count(len(rounds), 'round')} {was} short: {told}{more}")
    text = ", and ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _shortest(one: Round) -> str:
    """Say the exchange of a short round that fell shortest."""
    told = [e for e in one.exchanges if e.results is not None]
    worst = max(told, key=lambda e: max((e.sampled or 0) - (e.results or 0), e.failures or 0))
    asked = max(worst.sampled or 0, (worst.results or 0) + (worst.failures or 0))
    return f"{worst.results} of {asked} {worst.kind} results"


def _empty(one: Round, states: Sequence[_Exchange]) -> str:
    """Say which exchange of a round came back empty, and of how many SuperNodes."""
    exchange = next(e for e, state in zip(one.exchanges, states, strict=True) if state is _Exchange.EMPTY)
    asked = max(exchange.sampled or 0, exchange.failures or 0)
    if exchange.failures:
        how = f"{exchange.failures} of {_count(asked, 'SuperNode')} failed"
    else:
        how = f"{_count(asked, 'SuperNode')} asked, no usable reply" if asked else "no usable reply"
    return f"{exchange.kind} result ({how})"


def _asked_few(one: Round, expected: int | None) -> bool:
    return expected is not None and any(0 < e.sampled < expected for e in one.exchanges if e.sampled is not None)


def _how_far(seen: Observation) -> str:
    rounds, total = seen.progress.rounds, seen.progress.total_rounds
    if not rounds:
        return " before its first round" if total else ""
    if seen.progress.finished:
        return " after its last round"
    return f" in round {_of_total(rounds[-1], total)}"


def _while_waiting(seen: Observation) -> str:
    return f", while it waited for {seen.waited_for}" if seen.waited_for else ""


def _of_total(one: Round, total: int | None) -> str:
    return f"{one.number} of {total}" if total else str(one.number)


def _numbers(numbers: Sequence[int]) -> str:
    if len(numbers) == 1:
        return f"round {numbers[0]}"
    shown = ", ".join(str(one) for one in numbers[:4])
    return f"rounds {shown}{' and more' if len(numbers) > 4 else ''}"


def _client_detail(seen: Observation) -> str:
    """Explain what ClientApps did wrong: a traceback, else what their error replies said, else the ServerApp's."""
    if seen.clientapp_traceback:
        return seen.clientapp_traceback
    if told := replied.errors(seen.replies):
        return told
    if seen.progress.errors:
        said = (
            f"{replied.called(error.node, seen.nodes)}: {replied.plain(error.reason)}" for error in seen.progress.errors
        )
        return "\n".join(dict.fromkeys(said))
    return seen.serverapp_traceback


def _server_detail(seen: Observation) -> str:
    """Explain what the ServerApp did wrong: its traceback, else Flower's words, else the ClientApps'."""
    return seen.serverapp_traceback or seen.details or _client_detail(seen)
