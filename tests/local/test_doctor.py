"""What `doctor` says of this user's other federations."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
from pathlib import Path

import pytest

from flowerbed import processes
from flowerbed.local.doctor import check_others
from flowerbed.local.doctor_machine import State

pytestmark = pytest.mark.skipif(not processes.LINUX, reason="processes carry a mark that can be read on Linux only")


def test_other_federations_are_told_by_the_mark_of_their_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    (other / ".flowerbed").mkdir(parents=True)
    mine.mkdir()
    root = str(other / ".flowerbed")
    program = subprocess.Popen(["/bin/sleep", "600"], env={processes.MARK: root})
    try:
        found = processes.all_marked()
        assert found[root] == [program.pid]
        monkeypatch.setattr(processes, "all_marked", lambda: {root: found[root]})  # not those of tests beside this one

        left = check_others(mine)
        assert (left.state, left.next) == (State.WARNING, f"flowerbed down --file {other}")
        assert f"left without their supervisor: 1 of {other}" in left.message

        (other / ".flowerbed" / "state.db").touch()
        with (other / ".flowerbed" / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            assert check_others(mine).message == f"another federation of yours is up: one in {other}"
            assert check_others(other).message == "no other federation of yours is up"
    finally:
        os.kill(program.pid, signal.SIGKILL)
        program.wait()
