"""`flowerbed run --on kubernetes` takes down what it brought up once nobody needs it, as on this machine."""

from __future__ import annotations

from typing import Any

import pytest

from flowerbed.cli import on_kubernetes
from flowerbed.cli.output import Output


class _Runtime:
    """A federation with a run of somebody else, which ends."""

    def __init__(self) -> None:
        self.looks: list[int | None] = [2, 2, None]

    def unfinished_run(self, *, submitted: bool) -> int | None:
        assert submitted
        return self.looks.pop(0)


def await_others(runtime: Any, *, interrupted: int) -> None:
    on_kubernetes._await_others(Output(), runtime, lambda: interrupted)


def test_it_waits_for_runs_of_others(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(on_kubernetes, "POLL_SECONDS", 0.0)
    runtime = _Runtime()
    await_others(runtime, interrupted=0)
    assert runtime.looks == []
    assert capsys.readouterr().out.count("waiting for run 2, which somebody else submitted") == 1


def test_ctrl_c_ends_the_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_kubernetes, "POLL_SECONDS", 0.0)
    runtime = _Runtime()
    await_others(runtime, interrupted=1)
    assert len(runtime.looks) == 3
