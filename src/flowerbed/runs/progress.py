"""How far a run is: events in, rounds out, nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from flowerbed.runs.events import (
    AppRaised,
    LogEvent,
    Metrics,
    Replies,
    ReplyError,
    RoundStarted,
    Sampled,
    StrategyFinished,
    StrategyStarting,
    TracebackStarted,
    Waiting,
    WaitingOver,
)
from flowerbed.runs.records import Exchange, Round

ERRORS_KEPT = 20
"""Error replies kept for the verdict's detail; a thousand SuperNodes would say much the same."""


@dataclass(frozen=True)
class Progress:
    """What the ServerApp's log told so far.

    Parameters
    ----------
    strategies : tuple of str
        The strategies that began, in order; most apps have one. Rounds of a second one go on counting.
    total_rounds : int or None
        How many rounds were announced, of all strategies so far.
    rounds : tuple of Round
        Those that began.
    current : int or None
        The index in `rounds` of the round that is going on.
    before : int
        Rounds that were done when the present strategy began; added to the numbers that it prints.
    initial_metrics : dict of str to float
        Evaluated before the first round (Flower's round 0).
    waiting : Waiting or None
        The strategy, or the app's own loop, waits for SuperNodes.
    errors : tuple of ReplyError
        The first error replies.
    raised : tuple of str
        Apps of which the log says that they raised an exception.
    tracebacks : int
        How many tracebacks were printed.
    finished : bool
        The present strategy said that it is done.
    seconds : float or None
        What the last strategy that is done took.
    """

    strategies: tuple[str, ...] = ()
    total_rounds: int | None = None
    rounds: tuple[Round, ...] = ()
    current: int | None = None
    before: int = 0
    initial_metrics: dict[str, float] = field(default_factory=dict)
    waiting: Waiting | None = None
    errors: tuple[ReplyError, ...] = ()
    raised: tuple[str, ...] = ()
    tracebacks: int = 0
    finished: bool = False
    seconds: float | None = None

    @property
    def round(self) -> Round | None:
        """The round that is going on, or None between and after rounds."""
        return None if self.current is None else self.rounds[self.current]


def advance(progress: Progress, event: LogEvent) -> Progress:
    """Return the progress after one more event."""
    match event:
        case StrategyStarting():
            return _strategy_starts(end(progress, event.at), event)
        case RoundStarted():
            return _round_starts(progress, event)
        case Sampled():
            return replace(_with_exchange(progress, event), waiting=None)
        case Replies():
            return _answered(progress, event)
        case Metrics():
            return _measured(progress, event)
        case StrategyFinished():
            done = replace(end(progress, event.at), finished=True, waiting=None, seconds=event.seconds)
            if done.total_rounds is None and event.rounds is not None:
                return replace(done, total_rounds=done.before + event.rounds)
            return done
        case Waiting():
            return replace(progress, waiting=event)
        case WaitingOver():
            return replace(progress, waiting=None)
        case ReplyError():
            return replace(progress, errors=(*progress.errors, event)[:ERRORS_KEPT])
        case AppRaised():
            ended = end(progress, event.at, cut_off=True) if event.what == "ServerApp" else progress
            return replace(ended, raised=(*progress.raised, event.what))
        case TracebackStarted():
            return replace(progress, tracebacks=progress.tracebacks + 1)


def _strategy_starts(progress: Progress, event: StrategyStarting) -> Progress:
    before = len(progress.rounds)
    # An earlier strategy that stopped short does not make the later one's rounds fewer, nor is it forgotten.
    earlier = max(progress.total_rounds or 0, before)
    return replace(
        progress,
        strategies=(*progress.strategies, event.name),
        total_rounds=None if event.total is None else earlier + event.total,
        before=before,
        waiting=None,
        finished=False,
    )


def _round_starts(progress: Progress, event: RoundStarted) -> Progress:
    number = progress.before + event.number
    total = progress.total_rounds
    if total is None and event.total is not None:
        total = progress.before + event.total
    known = next((index for index, one in enumerate(progress.rounds) if one.number == number), None)
    if known is not None:  # a log that was read again after a broken connection
        if known == progress.current:
            return replace(progress, total_rounds=total)
        return replace(end(progress, event.at), current=known, total_rounds=total, finished=False)
    progress = end(progress, event.at)
    rounds = (*progress.rounds, Round(number, started_at=event.at))
    return replace(progress, rounds=rounds, current=len(rounds) - 1, total_rounds=total, waiting=None, finished=False)


def end(progress: Progress, at: float, *, cut_off: bool = False) -> Progress:
    """Return the progress with the round that was going on ended: the next began, or the run is over.

    Parameters
    ----------
    cut_off : bool
        The run ended within the round.
    """
    if progress.current is None:
        return progress
    one = progress.rounds[progress.current]
    if one.finished_at is None:
        progress = _put(progress, progress.current, replace(one, finished_at=at, cut_off=cut_off))
    return replace(progress, current=None)


def _put(progress: Progress, index: int, one: Round) -> Progress:
    return replace(progress, rounds=(*progress.rounds[:index], one, *progress.rounds[index + 1 :]))


def _open(progress: Progress, at: float) -> tuple[Progress, int]:
    """Return the index of the round that is going on; an app with a loop of its own may never say that one began."""
    if progress.current is not None:
        return progress, progress.current
    index = len(progress.rounds)
    rounds = (*progress.rounds, Round(index + 1, started_at=at))
    return replace(progress, rounds=rounds, current=index), index


def _with_exchange(progress: Progress, event: Sampled) -> Progress:
    progress, current = _open(progress, event.at)
    one = progress.rounds[current]
    new = Exchange(event.kind, sampled=event.count)
    if one.exchanges and one.exchanges[-1] == new:  # the same line read again
        return progress
    return _put(progress, current, replace(one, exchanges=(*one.exchanges, new)))


def _answered(progress: Progress, event: Replies) -> Progress:
    progress, current = _open(progress, event.at)
    one = progress.rounds[current]
    exchanges = list(one.exchanges)
    place = next((i for i in reversed(range(len(exchanges))) if exchanges[i].kind == event.kind), None)
    if place is None:  # a strategy of the app's own that samples without a word
        exchanges.append(Exchange(event.kind, results=event.results, failures=event.failures))
    else:  # differential privacy prints the count twice: the later line counts
        exchanges[place] = replace(exchanges[place], results=event.results, failures=event.failures)
    return _put(progress, current, replace(one, exchanges=tuple(exchanges)))


def _measured(progress: Progress, event: Metrics) -> Progress:
    named = {f"{event.scope}/{name}": value for name, value in event.values.items()}
    if event.round is None:
        index = progress.current
    elif event.round == 0:
        return replace(progress, initial_metrics=_merge(progress.initial_metrics, named, event.summary))
    else:
        number = progress.before + event.round
        index = next((i for i, one in enumerate(progress.rounds) if one.number == number), None)
    if index is None:
        return progress
    one = progress.rounds[index]
    return _put(progress, index, replace(one, metrics=_merge(one.metrics, named, event.summary)))


def _merge(known: dict[str, float], new: dict[str, float], summary: bool) -> dict[str, float]:
    return new | known if summary else known | new  # the table at the end repeats with fewer digits
