"""A failed comparison of a run's verdict shows why the run was judged so, wherever a test makes one.

`federation.beds` reads what commands say through `lines_of`, so each verdict in it knows its run. Tests compare it as
the text that it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any


class Judged(str):
    """A run's verdict, with what else the command said of that run."""

    __slots__ = ("run",)
    run: dict[str, Any]

    def explanation(self) -> list[str]:
        """Return the run's reason and its detail, in lines."""
        said = f"run {self.run.get('number')} is {self!s}: {self.run.get('reason')}"
        return [said, *str(self.run.get("detail") or "").splitlines()]


def lines_of(output: str) -> list[dict[str, Any]]:
    """Return the objects that a command wrote with ``--json``."""
    lines: list[dict[str, Any]] = [json.loads(line) for line in output.splitlines()]
    for line in lines:
        if line.get("type") == "run" and isinstance(line.get("verdict"), str):
            verdict = Judged(line["verdict"])
            verdict.run = dict(line)
            line["verdict"] = verdict
    return lines


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Explain a comparison of verdicts by what is known of their runs."""
    found = [*_verdicts(left), *_verdicts(right)]
    if not found:
        return None
    return [f"{left!r} {op} {right!r}", *(line for one in found for line in one.explanation())]


def _verdicts(value: object) -> Iterator[Judged]:
    if isinstance(value, Judged):
        yield value
    elif isinstance(value, dict):
        yield from _verdicts(list(value.values()))
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _verdicts(one)
