"""The table that a strategy prints at its end, which is the only place where legacy strategies tell most metrics.

Today's strategies print ``Aggregated ClientApp-side Train Metrics:`` and, below, ``{round: {name: '5.0000e-01'}}``
(``serverapp/strategy/result.py``). Legacy ones print ``History (metrics, distributed, fit):`` with
``{name: [(round, value), ...]}`` below, and losses as ``round 1: 0.25`` (``server/history.py``).
"""

from __future__ import annotations

from flowerbed.runs import literals
from flowerbed.runs.events import LogEvent, Metrics

_LIMIT = 256 * 1024  # characters of one table; a thousand rounds fit

_HEADERS = {
    "Aggregated ClientApp-side Train Metrics:": "train",
    "Aggregated ClientApp-side Evaluate Metrics:": "evaluate",
    "ServerApp-side Evaluate Metrics:": "server",
    "History (loss, distributed):": "evaluate",
    "History (loss, centralized):": "server",
    "History (metrics, distributed, fit):": "train",
    "History (metrics, distributed, evaluate):": "evaluate",
    "History (metrics, centralized):": "server",
}


class SummaryReader:
    """Read the tables line by line once the strategy has said that it is done."""

    def __init__(self) -> None:
        self.active = False
        self._scope: str | None = None
        self._text = ""

    def feed(self, message: str, at: float) -> list[LogEvent] | None:
        """Return what the line completes; None where it belongs to no table."""
        bare = message.strip()
        if bare in _HEADERS:
            self._scope, self._text = _HEADERS[bare], ""
            return []
        if self._scope is None:
            return None
        if not self._text:
            if bare.startswith("round "):
                return self._loss(bare, at)
            if not bare.startswith("{"):
                self._scope = None
                return None
        self._text += bare + "\n"
        if bare.endswith("}"):
            try:
                table = literals.read(self._text)
            except ValueError:
                pass  # only an inner dict ended here
            else:
                scope, self._scope, self._text = self._scope, None, ""
                return _rows(table, scope, at)
        if len(self._text) > _LIMIT:
            self._scope, self._text = None, ""
        return []

    def _loss(self, bare: str, at: float) -> list[LogEvent]:
        number, _, loss = bare.removeprefix("round ").partition(":")
        try:
            values = literals.numbers({"loss": literals.read(loss)})
            return [Metrics(at, self._scope or "", values, round=int(number), summary=True)]
        except ValueError:
            return []


def _rows(table: literals.Value, scope: str, at: float) -> list[LogEvent]:
    if not isinstance(table, dict):
        return []
    rounds: dict[int, dict[str, float]] = {}
    for key, item in table.items():
        if isinstance(key, float) and key.is_integer():  # {round: {name: value}}
            rounds.setdefault(int(key), {}).update(literals.numbers(item))
        elif isinstance(item, list):  # {name: [(round, value), ...]}
            for pair in item:
                match pair:
                    case [float() as number, value] if number.is_integer():
                        rounds.setdefault(int(number), {}).update(literals.numbers({key: value}))
                    case _:
                        pass
    return [Metrics(at, scope, values, round=number, summary=True) for number, values in sorted(rounds.items())]
