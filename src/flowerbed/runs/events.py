"""What a ServerApp's log can tell, one type for each kind of thing."""

from __future__ import annotations

from dataclasses import dataclass, field

LEGACY = "legacy workflow"
"""The strategy name of a ServerApp made with ``server_fn`` (``flwr.server.ServerApp``), which prints no class name."""


@dataclass(frozen=True)
class StrategyStarting:
    """A strategy begins; `total` is how many rounds it says it will do."""

    at: float
    name: str
    total: int | None = None


@dataclass(frozen=True)
class RoundStarted:
    """A round begins; older strategies do not print the `total`."""

    at: float
    number: int
    total: int | None = None


@dataclass(frozen=True)
class Sampled:
    """SuperNodes were chosen for an exchange: `count` of `available` (None where the line does not say)."""

    at: float
    kind: str
    count: int
    available: int | None = None


@dataclass(frozen=True)
class Replies:
    """The replies to an exchange were counted."""

    at: float
    kind: str
    results: int
    failures: int


@dataclass(frozen=True)
class ReplyError:
    """One SuperNode's reply was an error; `reason` is the first line of what it said."""

    at: float
    node: str
    reason: str


@dataclass(frozen=True)
class Metrics:
    """Numbers of a round.

    Parameters
    ----------
    at : float
        When the line was seen, Unix time in seconds.
    scope : str
        ``train`` or ``evaluate`` (aggregated from SuperNodes), ``server`` (evaluated centrally).
    values : dict of str to float
        By name; lists and words that an app put beside the numbers are left out.
    round : int or None
        The round where the line names it (0 is before the first); None means the one that is going on.
    summary : bool
        From the table at the end, which repeats what was printed before with fewer digits.
    """

    at: float
    scope: str
    values: dict[str, float] = field(default_factory=dict)
    round: int | None = None
    summary: bool = False


@dataclass(frozen=True)
class Waiting:
    """The ServerApp waits for SuperNodes: it knows `connected` and needs `required`; None where it does not say."""

    at: float
    connected: int | None = None
    required: int | None = None


@dataclass(frozen=True)
class WaitingOver:
    """A ServerApp with a loop of its own, which said that it waits, says something else."""

    at: float


@dataclass(frozen=True)
class StrategyFinished:
    """The strategy did its last round; older ones say how many `rounds`."""

    at: float
    seconds: float
    rounds: int | None = None


@dataclass(frozen=True)
class AppRaised:
    """Flower says that an app raised an exception; `what` is ``ServerApp`` or ``ClientApp``."""

    at: float
    what: str


@dataclass(frozen=True)
class TracebackStarted:
    """A Python traceback begins on this line."""

    at: float


LogEvent = (
    StrategyStarting
    | RoundStarted
    | Sampled
    | Replies
    | ReplyError
    | Metrics
    | Waiting
    | WaitingOver
    | StrategyFinished
    | AppRaised
    | TracebackStarted
)
