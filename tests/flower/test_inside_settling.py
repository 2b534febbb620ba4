"""The launcher lets a SuperNode of the same name leave before this one joins, unless it has to wait anyway."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from flowerbed.flower.inside import inside_programs, launcher


@pytest.fixture
def begin(monkeypatch: pytest.MonkeyPatch) -> Callable[[float, int], float]:
    """Have a program begin that dials a port; return after how many seconds it does."""

    def run(settle: float, port: int) -> float:
        entry = SimpleNamespace(group="console_scripts", name="flower-supernode", load=lambda: time.monotonic)
        monkeypatch.setattr(launcher, "distribution", lambda _: SimpleNamespace(entry_points=[entry]))
        monkeypatch.setattr(sys, "argv", ["/programs/flower-supernode"])
        monkeypatch.setenv(launcher.SETTLE, str(settle))
        monkeypatch.setenv(launcher.WAIT_FOR, f"127.0.0.1:{port}")
        began = time.monotonic()
        at = launcher.main()
        assert isinstance(at, float)
        return at - began

    return run


def test_unit_and_launcher_mean_the_same() -> None:
    assert (launcher.SETTLE, launcher.IMPORTED) == (inside_programs.SETTLE, inside_programs.IMPORTED)


def test_it_begins_later_where_the_superlink_answers_at_once(
    begin: Callable[[float, int], float], capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as there:
        assert begin(0.5, there.getsockname()[1]) >= 0.5
        assert "one of this name may have just left" in capsys.readouterr().out
        assert begin(0, there.getsockname()[1]) >= 0
        assert capsys.readouterr().out == ""


def test_it_begins_at_once_where_it_had_to_wait(
    begin: Callable[[float, int], float], capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as there:
        there.bind(("127.0.0.1", 0))
        timer = threading.Timer(0.3, there.listen)
        timer.start()
        begin(3600, there.getsockname()[1])  # else this test would not end
        timer.join()
    assert "may have just left" not in capsys.readouterr().out
