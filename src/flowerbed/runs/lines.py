"""A ServerApp's log, line by line, into events.

The wording was read in, and captured from, flwr 1.22 to 1.42: ``serverapp/strategy/{strategy,fedavg,strategy_utils,
fedxgb_cyclic,dp_fixed_clipping}.py`` for today's strategies and ``server/workflow/default_workflows.py``,
``server/server.py``, ``server/history.py``, ``server/client_manager.py`` for those of a legacy ``server_fn``. Not a
word of it changed between these releases (only imports and annotations did), so one parser serves all of them.
An app that prints something else gives no events, and never an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from flowerbed.runs import literals
from flowerbed.runs.events import (
    LEGACY,
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
from flowerbed.runs.summaries import SummaryReader
from flowerbed.runs.text import split_level
from flowerbed_inside.text import without_codes

LINE_LIMIT = 64 * 1024
"""Characters kept of one line: an app may print a whole array, and the supervisor has to stay small."""

RECORD_LINES = 50
"""Lines over which one printed metrics record may stretch before it is given up."""

_LINE_END = re.compile(r"[\r\n]")

# Today's strategies say "Starting FedAvg strategy:" and, on the next line, how many rounds.
_STARTING = re.compile(r"Starting (?P<name>\S+) strategy:")
_ROUNDS = re.compile(r"├── Number of rounds: (?P<total>\d+)")
_LEGACY_STARTING = re.compile(r"Starting Flower ServerApp, config: num_rounds=(?P<total>\d+)\b.*")
_ROUND = re.compile(r"\[ROUND (?P<number>\d+)(?:/(?P<total>\d+))?\]")
_SAMPLED = re.compile(
    r"configure_(?P<kind>\w+): (?:Sampled|strategy sampled) (?P<count>\d+) (?:nodes|clients) \(out of (?P<of>\d+)\)"
)
_NONE_SELECTED = re.compile(r"configure_(?P<kind>\w+): no clients selected, .*")
_REPLIES = re.compile(r"aggregate_(?P<kind>\w+): [Rr]eceived (?P<results>\d+) results and (?P<failures>\d+) failures")
_REPLY_ERROR = re.compile(r"(?:> )?Received error in reply from node (?P<node>\d+): (?P<reason>.*)")
_WAITING = (
    re.compile(r"Waiting for nodes to connect: (?P<have>\d+) connected \(minimum required: (?P<need>\d+)\)\."),
    re.compile(
        r"Sampling failed: number of available clients \((?P<have>\d+)\)"
        r" is less than number of requested clients \((?P<need>\d+)\)\."
    ),
)
_WAITING_LOOP = "Waiting for nodes to connect..."
"""What Flower's examples with a loop of their own say every two seconds (quickstart-pandas, quickstart-catboost,
federated-analytics, federated-kaplan-meier-fitter); nothing says that it is over but the next line."""
_FINISHED = (
    re.compile(r"Strategy execution finished in (?P<seconds>[\d.]+)s"),
    re.compile(r"Run finished (?P<rounds>\d+) round\(s\) in (?P<seconds>[\d.]+)s"),
)
_RAISED = re.compile(r"(?P<what>ServerApp|ClientApp) raised an exception")
_TRACEBACK = re.compile(r"(?:\s*\+ Exception Group )?Traceback \(most recent call last\):")

_AGGREGATED = "└──> Aggregated MetricRecord: "
_CENTRAL = "└──> MetricRecord: "
_INITIAL = "Initial global evaluation results: "
_LEGACY_INITIAL = "initial parameters (loss, other metrics): "
_LEGACY_CENTRAL = "fit progress: "
_RECORDS = (_AGGREGATED, _CENTRAL, _INITIAL, _LEGACY_INITIAL, _LEGACY_CENTRAL)


class LineParser:
    """Turn a ServerApp's log into events, in whatever pieces the text arrives.

    The events do not depend on where the text was cut, apart from their times.
    """

    def __init__(self) -> None:
        self._rest = ""  # of a line whose end has not arrived
        self._starting: str | None = None  # a strategy that named itself; its number of rounds comes next
        self._scope = "train"  # which aggregated metrics come next
        self._record: list[str] = []  # a metrics record that goes on in the next line
        self._summary = SummaryReader()
        self._waiting = False  # a loop of the app's own says that it waits

    def feed(self, text: str, at: float) -> list[LogEvent]:
        """Take the next piece of the log, seen at Unix time `at`, and return what it tells."""
        *lines, rest = _LINE_END.split(text)
        events: list[LogEvent] = []
        for line in lines:
            whole = (self._rest + line)[:LINE_LIMIT]
            self._rest = ""
            events.extend(self._line(whole, at))
        self._rest = (self._rest + rest)[:LINE_LIMIT]
        return events

    def finish(self, at: float) -> list[LogEvent]:
        """Take the end of the log: return what a last line without an end, and things held back, tell."""
        events = self.feed("\n", at) if self._rest else []
        self._record = []
        return [*events, *self._held(at)]

    def _held(self, at: float) -> Iterator[LogEvent]:
        if self._starting is not None:
            name, self._starting = self._starting, None
            yield StrategyStarting(at, name)

    def _line(self, line: str, at: float) -> Iterator[LogEvent]:
        level, message = split_level(without_codes(line))
        message = message.rstrip()
        bare = message.strip()
        if self._record:
            if level is None:
                yield from self._continue_record(message, at)
                return
            self._record = []  # the next log record came before the metrics were whole
        if self._starting is not None:
            if found := _ROUNDS.fullmatch(bare):
                name, self._starting = self._starting, None
                yield StrategyStarting(at, name, int(found["total"]))
                return
            yield from self._held(at)
        if self._waiting != (bare == _WAITING_LOOP) and bare:
            self._waiting = not self._waiting
            yield Waiting(at) if self._waiting else WaitingOver(at)
        if self._summary.active:
            summary = self._summary.feed(message, at)
            if summary is not None:
                yield from summary
                return
        if event := self._plain_event(bare, at):
            yield event
        elif bare.startswith(_RECORDS):
            yield from self._begin_record(bare, at)
        elif found := _STARTING.fullmatch(bare):
            self._starting = found["name"]
        elif _TRACEBACK.fullmatch(message):
            yield TracebackStarted(at)

    def _plain_event(self, bare: str, at: float) -> LogEvent | None:
        """Read a line that stands for itself."""
        if found := _ROUND.fullmatch(bare):
            self._scope = "train"
            return RoundStarted(at, int(found["number"]), int(found["total"]) if found["total"] else None)
        if found := _SAMPLED.fullmatch(bare):
            self._scope = _kind(found["kind"])
            return Sampled(at, self._scope, int(found["count"]), int(found["of"]))
        if found := _NONE_SELECTED.fullmatch(bare):
            return Sampled(at, _kind(found["kind"]), 0)
        if found := _REPLIES.fullmatch(bare):
            self._scope = _kind(found["kind"])
            return Replies(at, self._scope, int(found["results"]), int(found["failures"]))
        if found := _REPLY_ERROR.fullmatch(bare):
            return ReplyError(at, found["node"], found["reason"])
        if found := _LEGACY_STARTING.fullmatch(bare):
            return StrategyStarting(at, LEGACY, int(found["total"]))
        if found := _RAISED.fullmatch(bare):
            return AppRaised(at, found["what"])
        for pattern in _WAITING:
            if found := pattern.fullmatch(bare):
                return Waiting(at, int(found["have"]), int(found["need"]))
        for pattern in _FINISHED:
            if found := pattern.fullmatch(bare):
                self._summary.active = True
                rounds = found.groupdict().get("rounds")
                return StrategyFinished(at, float(found["seconds"].rstrip(".")), int(rounds) if rounds else None)
        return None

    def _begin_record(self, bare: str, at: float) -> Iterator[LogEvent]:
        event = self._metrics(bare, at)
        if event is not None:
            yield event
        elif bare.count("{") > bare.count("}"):  # a value that prints over several lines
            self._record = [bare]

    def _continue_record(self, message: str, at: float) -> Iterator[LogEvent]:
        self._record.append(message)
        if len(self._record) > RECORD_LINES:
            self._record = []
        elif event := self._metrics("\n".join(self._record), at):
            self._record = []
            yield event

    def _metrics(self, text: str, at: float) -> Metrics | None:
        """Read a metrics record; None where it is not whole, or says that there are none."""
        start = next(start for start in _RECORDS if text.startswith(start))
        try:
            value = literals.read(text.removeprefix(start))
        except ValueError:
            return None
        match start, value:
            case (s, dict()) if s == _AGGREGATED:
                scope, self._scope = self._scope, "evaluate"  # Strategy.start aggregates train first, then evaluate
                return Metrics(at, scope, literals.numbers(value))
            case (s, dict()) if s == _CENTRAL:
                return Metrics(at, "server", literals.numbers(value))
            case (s, dict()) if s == _INITIAL:
                return Metrics(at, "server", literals.numbers(value), round=0)
            case (s, [loss, others]) if s == _LEGACY_INITIAL:
                return Metrics(at, "server", literals.numbers({"loss": loss}) | literals.numbers(others), round=0)
            case (s, [float() as number, loss, others, _]) if s == _LEGACY_CENTRAL:
                values = literals.numbers({"loss": loss}) | literals.numbers(others)
                return Metrics(at, "server", values, round=int(number))
            case _:
                return None


def _kind(word: str) -> str:
    return "train" if word == "fit" else word
