"""What programs that read ``--json`` rely on: keys, types, their order, and exit statuses stay; keys may be added.

The samples in ``json_samples/`` were recorded with commit 3b6e188, from real commands. They are never recorded again:
whatever that commit said, a later one says too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent / "json_samples"
Heard = tuple[str, int, list[dict[str, Any]]]
"""A command, its exit status, and its lines."""


def heard(command: str, status: int, said: str) -> Heard:
    """Return what a command said, as it is compared; lines that are not JSON are left out."""
    return command, status, [json.loads(line) for line in said.splitlines() if line.startswith("{")]


def differences(name: str, commands: Iterable[Heard]) -> list[str]:
    """Return what commands say otherwise than the sample of that name, each with its place."""
    path = HERE / f"{name}.json"
    now = [Said(*one) for one in commands]
    sample = [Said(**one) for one in json.loads(path.read_text(encoding="utf-8"))]
    assert [one.command for one in now] == [one.command for one in sample]
    return [difference for before, after in zip(sample, now, strict=True) for difference in before.against(after)]


@dataclass
class Said:
    """What a command said with ``--json``."""

    command: str
    status: int
    lines: list[dict[str, Any]]

    def against(self, now: Said) -> list[str]:
        """Return in what the command now differs from this sample of it."""
        found = [] if now.status == self.status else [f"{self.command}: status {now.status}, was {self.status}"]
        if now.kinds() != self.kinds():
            found.append(f"{self.command}: lines of {now.kinds()}, were of {self.kinds()}")
        for index, line in enumerate(now.lines):
            alike = [one for one in self.lines if kind(one) == kind(line)]
            fits: list[list[str]] = [list(_differ(one, line, f"{self.command}, line {index + 1}")) for one in alike]
            if fits and all(fits):
                found += sorted(fits, key=len)[0]
        return found

    def kinds(self) -> list[str]:
        """Return the kinds of lines in their order, but for those that come when something happens."""
        return [name for name, _ in groupby(map(kind, self.lines)) if name not in ("event", "progress", "round")]


def kind(line: dict[str, Any]) -> str:
    """Return the type of a line; an error has none."""
    return str(line.get("type", line.get("error")))


def _differ(before: Any, now: Any, place: str) -> Iterable[str]:
    """Yield in what a value differs in kind from what it was; what was null may be anything."""
    if before is None:
        return
    if type(before) is not type(now):
        yield f"{place}: {now!r}, was {before!r}"
    elif isinstance(before, dict):
        if missing := [key for key in before if key not in now]:
            yield f"{place}: lacks {missing}"
        elif [key for key in now if key in before] != list(before):
            yield f"{place}: the order is {list(now)}, was {list(before)}"
        else:
            for key, value in before.items():
                yield from _differ(value, now[key], f"{place}.{key}")
    elif isinstance(before, list) and before:
        if not now:
            yield f"{place}: is empty"
        for index, item in enumerate(now):
            fits: list[list[str]] = [list(_differ(one, item, f"{place}[{index}]")) for one in before]
            if all(fits):
                yield from sorted(fits, key=len)[0]
