"""How an app's process ended is seen although nobody asks, and said in a unit's log."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from by_hand import eventually
from units import RunningUnit

from flowerbed_inside.unit.endings import Ending, Endings

# Starts an app's process as a SuperExec does, and never asks how it ended.
SUPEREXEC = """
import subprocess, sys, time
child = subprocess.Popen(sys.argv[1:])
print("child", child.pid, "here", flush=True)
time.sleep(1000)
"""


@pytest.fixture
def app(tmp_path: Path) -> list[str]:
    """Give the command line of a SuperExec whose app is called as Flower's is, and waits or ends."""
    program = tmp_path / "flwr-clientapp"
    code = "import sys, time\nif sys.argv[1:]:\n    sys.exit(int(sys.argv[1]))\ntime.sleep(1000)\n"
    program.write_text(f"#!{sys.executable}\n{code}")
    program.chmod(0o755)
    return [sys.executable, "-c", SUPEREXEC, str(program)]


def pid_of(line: str) -> int:
    return int(line.split()[1])


def ended(endings: Endings, superexec: int) -> list[Ending]:
    """Look until something has ended."""
    found: list[Ending] = []

    def look() -> bool:
        found.extend(endings.look([superexec]))
        return bool(found)

    eventually(look)
    return found


def test_who_was_killed_is_seen_once(app: list[str]) -> None:
    endings = Endings()
    with subprocess.Popen(app, stdout=subprocess.PIPE, text=True) as superexec:
        assert superexec.stdout is not None
        child = pid_of(superexec.stdout.readline())
        tree = [superexec.pid, child]
        eventually(lambda: endings.look(tree) == [] and endings.lives("ClientApp", tree))
        os.kill(child, signal.SIGKILL)
        found = ended(endings, superexec.pid)
        assert [(one.app, one.words.partition(",")[0], one.killed) for one in found] == [
            ("ClientApp", "was killed by SIGKILL", True)
        ]
        assert endings.look([superexec.pid]) == []
        superexec.kill()


def test_an_exit_status_is_seen(app: list[str]) -> None:
    endings = Endings()
    with subprocess.Popen([*app, "3"], stdout=subprocess.PIPE, text=True) as superexec:
        assert superexec.stdout is not None
        superexec.stdout.readline()
        found = ended(endings, superexec.pid)
        assert found == [Ending("ClientApp", "ended with status 3", killed=False)]
        superexec.kill()


def test_a_unit_says_it_in_its_log(app: list[str]) -> None:
    with RunningUnit(["--", "supernode", "sleep", "1000", "--", "superexec", *app]) as unit:
        eventually(lambda: "child" in unit.text)
        [line] = [line for line in unit.lines if "child" in line]
        os.kill(pid_of(line.removeprefix("superexec | ")), signal.SIGKILL)
        said = "superexec | [flowerbed: the ClientApp was killed by SIGKILL"
        eventually(lambda: any(line.startswith(said) for line in unit.lines))
