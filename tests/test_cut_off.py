"""Tests that are cut off leave no process behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from flowerbed import processes

pytestmark = pytest.mark.skipif(not processes.LINUX, reason="leaving no orphan is promised on Linux only")

WAITS = """
import os, subprocess, sys, time
from pathlib import Path

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]

def test_it(tmp_path):
    inherits = subprocess.Popen(SLEEP, start_new_session=True)
    marked = subprocess.Popen(SLEEP, start_new_session=True, env={"MARK": str(tmp_path / "state")})
    elsewhere = subprocess.Popen(SLEEP, start_new_session=True, env={}, cwd=tmp_path)
    Path(os.environ["SEEN"]).write_text(f"{inherits.pid} {marked.pid} {elsewhere.pid}\\n")
    time.sleep(600)
"""


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_of_tests_that_were_cut_off(tmp_path: Path, number: signal.Signals, workers: int) -> None:
    seen = tmp_path / "seen"
    (tmp_path / "test_it.py").write_text(WAITS)
    options = [*("-p", "cut_off"), *("-p", "no:cacheprovider"), f"-n{workers}", f"--basetemp={tmp_path / 'base'}"]
    pytest_ = subprocess.Popen(
        [sys.executable, "-m", "pytest", *options, "test_it.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent), "SEEN": str(seen)},
        stdout=subprocess.DEVNULL,
    )
    try:
        wait(lambda: seen.exists() and seen.read_text().endswith("\n"))
        started = [int(pid) for pid in seen.read_text().split()]
        assert all(processes.alive(pid) for pid in started)
    finally:
        pytest_.send_signal(number)
        pytest_.wait()
    wait(lambda: not any(processes.alive(pid) for pid in started))


def wait(condition: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)
