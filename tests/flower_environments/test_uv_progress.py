"""What is told of uv's work: the line names what is still on its way, not what was said last."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flowerbed.environments import uv
from flowerbed.environments.uv_progress import Ongoing


def test_what_is_still_on_its_way_is_named() -> None:
    ongoing = Ongoing()
    assert ongoing.now == ""
    assert ongoing.hear("Resolved 60 packages in 1.2s") == "Resolved 60 packages in 1.2s"
    assert ongoing.hear("Downloading torch (797.2MiB)") == "Downloading torch (797.2MiB)"
    assert ongoing.hear("Downloading numpy (15.1MiB)") == "Downloading numpy (15.1MiB)"
    assert ongoing.hear("   Building old==1.0") == ""
    assert ongoing.hear(" Downloaded numpy") == "Downloaded numpy"
    assert ongoing.now == "Downloading torch (797.2MiB); Building old==1.0"
    ongoing.hear(" Downloaded torch")
    ongoing.hear("      Built old==1.0")
    assert ongoing.now == "Built old==1.0"
    assert ongoing.hear(" + torch==2.9") == ongoing.hear("warning: nothing") == ongoing.hear("") == ""


def test_many_at_once_are_counted() -> None:
    ongoing = Ongoing()
    for name in "abcde":
        ongoing.hear(f"Downloading {name} (1.0MiB)")
    assert ongoing.now == "Downloading a (1.0MiB), b (1.0MiB), c (1.0MiB) and 2 more"


def test_a_program_that_says_nothing_gives_signs_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uv, "QUIET_SECONDS", 0.05)
    told: list[str] = []
    go_on = tmp_path / "go-on"
    code = f"import os, time\nwhile not os.path.exists({str(go_on)!r}): time.sleep(0.01)"

    def tell(text: str) -> None:
        told.append(text)
        go_on.touch()

    done = uv.run([sys.executable, "-c", code], cwd=tmp_path, progress=tell, env=os.environ, doing="compiling")
    assert done[0] == 0
    assert told[0].startswith("compiling … ")


SLEEPS = """
import sys
from cyclopts import App
from flowerbed.cli import failure
from flowerbed.environments.cache import scratch
door = App()
@door.command
def build() -> None:
    with scratch() as folder:
        (folder / "large").write_bytes(b"0" * 1000)
        print("here", flush=True)
        sys.stdin.read()
sys.exit(failure.call(door, ["build"]))
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_build_that_is_told_to_end_leaves_nothing(tmp_path: Path, name: str) -> None:
    env = {**os.environ, "FLOWERBED_CACHE_DIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", SLEEPS], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        assert list((tmp_path / "scratch").iterdir()) != []
        process.send_signal(signal.Signals[name])
        assert process.wait(30) == 128 + signal.Signals[name]
    assert list((tmp_path / "scratch").iterdir()) == []
