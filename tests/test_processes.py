"""No process is left behind: real children and grandchildren, really killed."""

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

PARENT_OF_A_HIDING_CHILD = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print(child.pid, flush=True)
time.sleep(600)
"""
SUPERVISOR = """
import sys
from pathlib import Path
from flowerbed import processes
processes.adopt_orphans()
pid = processes.spawn([sys.executable, "-c", sys.argv[1]], env={}, cwd=Path(sys.argv[2]), log=Path(sys.argv[2], "log"))
print(pid, flush=True)
import signal
signal.pause()
"""


def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def hidden_child(log: Path) -> int:
    assert eventually(lambda: log.exists() and log.read_text().strip() != "")
    return int(log.read_text().split()[0])


def test_killing_a_guarded_supervisor_leaves_nothing_of_its_tree(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "flowerbed.local.guard", "--free", sys.executable, "-c", SUPERVISOR]
    guard = subprocess.Popen([*command, PARENT_OF_A_HIDING_CHILD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert guard.stdout is not None
    child = int(guard.stdout.readline())
    grandchild = hidden_child(tmp_path / "log")
    (supervisor,) = [pid for pid in processes.descendants(guard.pid) if child in processes.descendants(pid)]
    assert processes.alive(grandchild)

    os.kill(supervisor, signal.SIGKILL)

    assert guard.wait(timeout=5) != 0
    assert [pid for pid in (supervisor, child, grandchild) if processes.alive(pid)] == []
    guard.stdout.close()


def test_killing_the_guard_ends_the_supervisor(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "flowerbed.local.guard", "--free", sys.executable, "-c", SUPERVISOR]
    guard = subprocess.Popen([*command, PARENT_OF_A_HIDING_CHILD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert guard.stdout is not None
    child = int(guard.stdout.readline())
    grandchild = hidden_child(tmp_path / "log")
    try:
        guard.kill()
        guard.wait()
        assert eventually(lambda: not processes.alive(child))
    finally:
        processes.send([grandchild], signal.SIGKILL)
        guard.stdout.close()


def test_a_tied_guard_goes_with_the_command_that_started_it(tmp_path: Path) -> None:
    starter = (
        "import subprocess, sys, time\n"
        "guard = subprocess.Popen([sys.executable, '-m', 'flowerbed.local.guard', '--tied',\n"
        "    sys.executable, '-c', 'import signal; print(\"up\", flush=True); signal.pause()'])\n"
        "print(guard.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    command = subprocess.Popen([sys.executable, "-c", starter], stdout=subprocess.PIPE, text=True)
    assert command.stdout is not None
    lines = [command.stdout.readline().strip() for _ in range(2)]
    guard = next(int(line) for line in lines if line.isdigit())
    command.kill()
    command.wait()
    assert eventually(lambda: not processes.alive(guard))
    command.stdout.close()


def test_marked_processes_are_found_by_their_state_folder(tmp_path: Path) -> None:
    marked = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"], env={processes.MARK: str(tmp_path)}
    )
    try:
        assert eventually(lambda: processes.marked(tmp_path) == [marked.pid])
        assert processes.marked(tmp_path / "other") == []
        assert processes.kill_all(lambda: processes.marked(tmp_path)) == []
    finally:
        marked.kill()
        marked.wait()


def test_a_zombie_is_not_alive() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    assert eventually(lambda: not processes.alive(child.pid))
    child.wait()
