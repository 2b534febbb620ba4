"""Rounds as people read them: one line while they happen, rows for a table afterwards. Only text, no drawing."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from flowerbed.counting import counted
from flowerbed.runs.records import Round

SHOWN = 4
"""Metrics in a line or a table at most; `flowerbed runs N` lists the others, and ``--json`` has them all."""

_QUALITY = re.compile(r"acc|f1|auc|auroc|precision|recall|dice|iou|r2|score|bleu|rouge", re.IGNORECASE)
_LOSS = re.compile(r"loss|mse|rmse|mae|error|perplexity|nll", re.IGNORECASE)
_SCOPES = ("train", "evaluate", "server")


def round_line(one: Round, total: int | None = None, metrics: Sequence[str] | None = None) -> str:
    """Return a round as one line of progress: ``round 2/3  2 of 2 results  0 failures  train/loss 0.41  9.2 s``.

    Parameters
    ----------
    metrics : sequence of str or None
        What to show of its metrics, as `chosen_metrics` chose it for the run; None means to choose for this round.
    """
    parts = [f"round {one.number}/{total}" if total else f"round {one.number}"]
    if one.cut_off:
        parts.append("cut off")
    if results := _results(one):
        parts.append(f"{results} results")
    failures = _failures(one)
    if failures is not None:
        parts.append(counted(failures, "failure"))
    shown = [name for name in (chosen_metrics([one]) if metrics is None else metrics) if name in one.metrics]
    parts += [f"{name} {number(one.metrics[name], name)}" for name in shown]
    if more := len(one.metrics) - len(shown):
        parts.append(f"{more} more")
    if (seconds := _seconds(one)) is not None:
        parts.append(f"{seconds:.1f} s")
    return "  ".join(parts)


def rows(rounds: Sequence[Round]) -> list[list[str]]:
    """Return a table's rows, the header first; a value that is not known is ``-``."""
    metrics = chosen_metrics(rounds)
    header = ["round", "results", "failures", *metrics, "seconds"]
    return [header, *(_row(one, metrics) for one in rounds)]


def chosen_metrics(rounds: Sequence[Round]) -> list[str]:
    """Return the metrics worth showing: of training rather a loss, of evaluation rather an accuracy.

    The first round that has metrics decides, with the best of each side first; a later round only fills places that
    are free. So a longer beginning of the same run never drops one, and all lines of a run show the same.
    """
    taken: list[str] = []
    for one in rounds:
        _fill(taken, one.metrics)
    return sorted(taken, key=lambda name: (_scope_rank(name), _rank(name), taken.index(name)))


def other_metrics(rounds: Sequence[Round]) -> list[str]:
    """Return the metrics that `chosen_metrics` leaves out, in the order in which they came."""
    chosen = set(chosen_metrics(rounds))
    return [name for name in dict.fromkeys(name for one in rounds for name in one.metrics) if name not in chosen]


def _fill(taken: list[str], metrics: Iterable[str]) -> None:
    """Take metrics of a round while there are places; one side leaves at least one place to the others."""

    def room(name: str) -> bool:
        return len(taken) < SHOWN and sum(_scope(one) == _scope(name) for one in taken) < SHOWN - 1

    names = sorted((name for name in metrics if name not in taken), key=_rank)
    best = {_scope(name): name for name in reversed(names)}
    for scope in (*_SCOPES, *sorted(set(best).difference(_SCOPES))):
        if scope in best and not any(_scope(one) == scope for one in taken) and room(best[scope]):
            taken.append(best[scope])
    rest = [name for name in names if name not in taken]
    for name in sorted(rest, key=lambda name: (_rank(name), _of_training(name))):
        if room(name):
            taken.append(name)  # noqa: PERF401 - each one taken leaves less room


def number(value: float, name: str = "") -> str:
    """Return a metric's number with four digits that count; an accuracy below 1 is never shown as 1."""
    if math.isnan(value) or math.isinf(value):
        return str(value)
    if value.is_integer() and abs(value) < 1e6:
        return str(int(value))
    shown = f"{value:.4g}" if value == 0 or 1e-4 <= abs(value) < 1e6 else f"{value:.2e}"
    return "0.9999" if shown == "1" and value < 1 and _QUALITY.search(name) else shown


def _row(one: Round, metrics: Sequence[str]) -> list[str]:
    failures, seconds = _failures(one), _seconds(one)
    return [
        f"{one.number} (cut off)" if one.cut_off else str(one.number),
        _results(one) or "-",
        "-" if failures is None else str(failures),
        *(number(one.metrics[name], name) if name in one.metrics else "-" for name in metrics),
        "-" if seconds is None else f"{seconds:.1f}",
    ]


def _results(one: Round) -> str:
    told = [(e.kind, _of(e.results, e.sampled)) for e in one.exchanges if e.results is not None]
    if len({text for _, text in told}) <= 1:
        return told[0][1] if told else ""
    return ", ".join(f"{kind} {text}" for kind, text in told)


def _of(results: int | None, sampled: int | None) -> str:
    return f"{results}" if sampled is None else f"{results} of {sampled}"


def _failures(one: Round) -> int | None:
    told = [e.failures for e in one.exchanges if e.failures is not None]
    return sum(told) if told else None


def _seconds(one: Round) -> float | None:
    if one.started_at is None or one.finished_at is None:
        return None
    return max(0.0, one.finished_at - one.started_at)


def _rank(name: str) -> int:
    scope, _, word = name.partition("/")
    first, second = (_LOSS, _QUALITY) if scope == "train" else (_QUALITY, _LOSS)
    return 0 if first.search(word) else 1 if second.search(word) else 2


def _of_training(name: str) -> bool:
    return name.startswith("train/")


def _scope(name: str) -> str:
    return name.partition("/")[0]


def _scope_rank(name: str) -> int:
    scope = _scope(name)
    return _SCOPES.index(scope) if scope in _SCOPES else len(_SCOPES)
