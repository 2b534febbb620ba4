"""What is known of a run: its rounds, its end as Flower tells it, and the verdict as we judge it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Phase(StrEnum):
    """Where a run is, in Flower's words, with one of ours before them."""

    SUBMITTING = "submitting"
    PENDING = "pending"
    STARTING = "starting"
    RUNNING = "running"
    FINISHED = "finished"


class Verdict(StrEnum):
    """What came of a run, judged from what was observed."""

    SUCCEEDED = "succeeded"
    DEGRADED = "degraded"
    FAILED = "failed"
    UNVERIFIED = "unverified"
    STOPPED = "stopped"
    TIMED_OUT = "timed out"

    def exit_code(self, *, strict: bool = False) -> int:
        """Return the process exit code that tells this verdict to a script."""
        if self is Verdict.DEGRADED:
            return 6 if strict else 0
        return {"succeeded": 0, "failed": 1, "stopped": 3, "timed out": 4, "unverified": 5}[self.value]


@dataclass(frozen=True)
class Exchange:
    """One sending out of messages and gathering of replies within a round.

    Parameters
    ----------
    kind : str
        ``train`` or ``evaluate`` (``fit`` of older strategies is ``train``), or what the strategy calls it.
    sampled : int or None
        How many SuperNodes were asked; None where the log does not say.
    results, failures : int or None
        How many replies were good and bad; None until they are known.
    """

    kind: str
    sampled: int | None = None
    results: int | None = None
    failures: int | None = None


@dataclass(frozen=True)
class Round:
    """One round of a strategy, as far as the ServerApp's log tells it.

    Parameters
    ----------
    number : int
        Counted from 1, as Flower does.
    exchanges : tuple of Exchange
        In the order in which they happened.
    metrics : dict of str to float
        ``train/<name>``, ``evaluate/<name>`` (aggregated from SuperNodes) and ``server/<name>`` (evaluated centrally).
    started_at, finished_at : float or None
        Unix time in seconds, as observed.
    cut_off : bool
        The run ended within it: what it tells may not be all.
    """

    number: int
    exchanges: tuple[Exchange, ...] = ()
    metrics: dict[str, float] = field(default_factory=dict)
    started_at: float | None = None
    finished_at: float | None = None
    cut_off: bool = False

    @property
    def finished(self) -> bool:
        """Whether it came to its end."""
        return self.finished_at is not None and not self.cut_off


@dataclass(frozen=True)
class Replies:
    """What came of the messages of one kind that a run's ServerApp sent to one SuperNode, as the SuperLink counted.

    Parameters
    ----------
    node : str
        Flower's id of the SuperNode, a uint64 as text.
    kind : str
        The messages' type: ``train``, ``evaluate``, ``query``, or one of the app's own.
    asked : int
        Messages that were sent.
    results, failures : int
        Replies that were good, and that were errors; the SuperLink's own errors for a lost SuperNode are among these.
    error : str
        What the first error said, in one line; empty without one.
    name : str
        The SuperNode's name; empty where it is not known.
    """

    node: str
    kind: str
    asked: int = 0
    results: int = 0
    failures: int = 0
    error: str = ""
    name: str = ""


@dataclass(frozen=True)
class RunRecord:
    """A run as history keeps it.

    Parameters
    ----------
    number : int
        Counted from 1 in this federation; what a user types.
    flower_id : str or None
        Flower's run id, a uint64 as text; None until the SuperLink has given one.
    app : str
        The app's name and version, ``publisher/name==version`` where known.
    phase : Phase
        Where it is.
    outcome : str
        Flower's own word for a finished run: ``completed``, ``failed``, ``stopped`` or empty.
    verdict : Verdict or None
        Ours; None while it is not finished.
    reason : str
        One sentence that says why the verdict is what it is.
    detail : str
        A traceback or the last lines of a log, where that explains a failure.
    rounds : tuple of Round
        What the log told.
    total_rounds : int or None
        How many rounds the strategy said it would do.
    config : dict of str to object
        The run config given for this run.
    submitted_at, finished_at : float or None
        Unix time in seconds.
    results : str or None
        The folder with what the ServerApp saved.
    replies : tuple of Replies or None
        What the SuperLink counted, for each SuperNode and kind of message; None where nobody counted.
    nodes : dict of str to str
        The names of the SuperNodes that took part, by Flower's ids of them.
    foreign : bool
        Somebody else submitted it to the SuperLink, such as ``flwr run``, and not Flowerbed.
    waits_for : str
        What a run that is not finished waits for, in words that go on from "waits for"; empty if for nothing.
    client_error : str
        The first error that a SuperNode replied with, in one line that names the SuperNode; empty without one.
    """

    number: int
    flower_id: str | None
    app: str
    phase: Phase
    outcome: str = ""
    verdict: Verdict | None = None
    reason: str = ""
    detail: str = ""
    rounds: tuple[Round, ...] = ()
    total_rounds: int | None = None
    config: dict[str, object] = field(default_factory=dict)
    submitted_at: float | None = None
    finished_at: float | None = None
    results: str | None = None
    replies: tuple[Replies, ...] | None = None
    nodes: dict[str, str] = field(default_factory=dict)
    foreign: bool = False
    waits_for: str = ""
    client_error: str = ""

    @property
    def finished_rounds(self) -> tuple[Round, ...]:
        """The rounds that came to their end."""
        return tuple(one for one in self.rounds if one.finished)

    @property
    def going_on(self) -> Round | None:
        """The round that is going on."""
        last = self.rounds[-1:]
        return last[0] if last and last[0].finished_at is None and self.phase is not Phase.FINISHED else None


def rounds_from(items: Iterable[Mapping[str, Any]]) -> tuple[Round, ...]:
    """Return rounds from what `dataclasses.asdict` made of each."""
    return tuple(
        Round(**{**item, "exchanges": tuple(Exchange(**exchange) for exchange in item["exchanges"])}) for item in items
    )


def replies_from(items: Iterable[Mapping[str, Any]] | None) -> tuple[Replies, ...] | None:
    """Return what was counted from what `dataclasses.asdict` made of it; None stays None."""
    return None if items is None else tuple(Replies(**item) for item in items)


def record_from(item: Mapping[str, Any]) -> RunRecord:
    """Return a run from what `dataclasses.asdict` made of it, now or by a version that knew fewer fields."""
    verdict = item["verdict"]
    changed = {
        "phase": Phase(item["phase"]),
        "verdict": None if verdict is None else Verdict(verdict),
        "rounds": rounds_from(item["rounds"]),
        "replies": replies_from(item.get("replies")),
    }
    return RunRecord(**{**item, **changed})
