"""A federation whose disk is full: limits hold, programs are restarted, and everybody is told.

What Flower itself writes is on another disk here: without it, its own programs fail sooner or later, and with them the
run, in one way or another.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from federation.beds import APPS, Bed

SMALL_DISK = """\
mount -t tmpfs -o size=8m none "$0" &&
for folder in data homes logs; do mkdir -p "$1/$folder" && ln -s "$1/$folder" "$0/$folder"; done &&
echo mounted && exec cat
"""


@pytest.fixture
def small(tmp_path: Path) -> Iterator[tuple[Bed, Path]]:
    """Give a bed whose state folder is on a small disk of its own, and where that is seen from here."""
    app = Bed(tmp_path / "slow")
    shutil.copytree(APPS / "slow", app.folder)
    disk = app.folder / ".flowerbed"
    disk.mkdir()
    mount = ["unshare", "--mount", "sh", "-c", SMALL_DISK, str(disk), str(tmp_path / "roomy")]
    with subprocess.Popen(mount, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        if holder.stdout.readline() != "mounted\n":
            pytest.skip("needs a mount namespace of its own")
        inside = ("sh", "-c", 'cd "$0" && exec "$@"', str(app.folder))
        app.before = ("nsenter", f"--mount=/proc/{holder.pid}/ns/mnt", *inside)
        try:
            yield app, Path(f"/proc/{holder.pid}/root{disk}")
        finally:
            app.clear()
            holder.kill()


def fill(disk: Path) -> None:
    """Fill a disk to its last byte."""
    with (disk / "full").open("wb", buffering=0) as file:
        for size in (2**20, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue


def pid_of(app: Bed, component: str) -> int | None:
    """Return a component's process; None while it has none."""
    [pid] = [item["pid"] for item in app.status()["components"] if item["name"] == component]
    return pid if isinstance(pid, int) else None


def test_limits_hold_and_programs_are_restarted_on_a_full_disk(
    small: tuple[Bed, Path], federation_file: Callable[..., str]
) -> None:
    app, disk = small
    federation_file(app)
    assert app("up", "--detach").last("status")["state"] == "ready"
    done = app.folder / "done"
    running = app.start("run", "--timeout", "30s", "--run-config", f'seconds=0.0 until="{done}"')
    app.wait(lambda: app.run(1).get("phase") == "running", "the run's begin")
    fill(disk)
    victim = app.pid("site-0")
    os.kill(victim, signal.SIGKILL)

    said = app.finish(running)
    run = said.last("run")
    assert (said.status, run["verdict"]) == (4, "timed out")
    assert run["finished_at"] - run["submitted_at"] < 30 + 45
    [told] = [line for line in said.lines if line["type"] == "event" and line["kind"] == "storage"]
    assert "full" in told["message"]
    assert told["at"] < run["finished_at"]
    app.wait(lambda: pid_of(app, "site-0") not in (None, victim), "the SuperNode's restart")
    assert "full" in app.status()["trouble"]
    assert app.run(1)["verdict"] == "timed out"

    (disk / "full").unlink()
    done.touch()  # a SuperNode works on what it took to the end, also after its run
    app.wait(lambda: app.status()["state"] == "ready" and not app.status()["trouble"], "readiness with room")
    assert app.run(1)["verdict"] == "timed out"  # written down by now
    after = app("run", "--run-config", "seconds=0.0 num-server-rounds=1").last("run")
    assert (after["number"], after["verdict"]) == (2, "succeeded")
