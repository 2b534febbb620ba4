"""The supervisor sees how a ServerApp's process ended, and writes down what was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from flowerbed import processes
from flowerbed.local.app_endings import EndingsWatcher
from flowerbed.local.layout import StateFolder
from flowerbed_inside.proc import zombies

SUPEREXEC = "import subprocess, sys\nprint(subprocess.Popen(sys.argv[1:]).pid, flush=True)\nsys.stdin.read()"
NAME = "superexec-serverapp"


def test_a_killed_serverapp_is_named(tmp_path: Path) -> None:
    program = tmp_path / "flwr-serverapp"
    program.write_text(f"#!{sys.executable}\nimport time\ntime.sleep(1000)\n")
    program.chmod(0o755)
    folder = StateFolder(tmp_path)
    folder.logs.mkdir()
    watcher = EndingsWatcher(folder)
    command = [sys.executable, "-c", SUPEREXEC, str(program)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as superexec:
        assert superexec.stdout is not None
        child = int(superexec.stdout.readline())
        runners = cast(Any, {NAME: SimpleNamespace(names_of=lambda *_: [NAME], pids={NAME: superexec.pid})})
        while_it_lived = processes.children_by_parent()
        watcher.look(runners, while_it_lived)
        assert watcher.serverapp == ""
        os.kill(child, signal.SIGKILL)
        until = time.monotonic() + 30
        while not any(pid == child for pid, *_ in zombies()) and time.monotonic() < until:
            time.sleep(0.01)
        watcher.look(runners, while_it_lived)  # it ended between the look at what lives and that at what has ended
    assert watcher.serverapp.startswith("its process was killed by SIGKILL")
    assert folder.log(NAME).read_text().startswith("[flowerbed: the ServerApp was killed by SIGKILL")
