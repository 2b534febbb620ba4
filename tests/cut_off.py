"""Ends what tests have started when they are cut off: killed, or told to end while they wait for a federation.

A process of its own sees the end of the one that runs tests, however that happens (of pytest-xdist's workers, each has
its own), and then kills all that was started by its tests. Test clusters have a guard of their own (`cluster.guard`).
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.inside import MARK as OF_A_CLUSTER
from flowerbed import processes

MARK = "FLOWERBED_TESTS"
"""What each process that inherits its environment from tests carries: the folder in which they work.

A federation inherits nothing, but what it runs carries its own folder, which is in that one.
"""


@pytest.fixture(scope="session", autouse=True)
def nothing_outlives_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Have somebody clean up, should this process not come to it."""
    if not processes.LINUX:
        yield
        return
    folder = str(tmp_path_factory.getbasetemp().resolve())
    command = [sys.executable, __file__, folder]
    environment = {"PYTHONPATH": str(Path(__file__).parent), "PATH": os.environ.get("PATH", os.defpath)}
    # In a session of its own, so that Ctrl-C does not reach it; the pipe closes with this process.
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, start_new_session=True),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv(MARK, folder)
        yield


def started_in(folder: str) -> list[int]:
    """Return the processes that were started by tests which work in a folder, but those of a cluster."""
    found = []
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        values = processes.environment_of(pid)
        with contextlib.suppress(OSError):  # it has just ended
            places = [*values.values(), str(Path(f"/proc/{pid}/cwd").readlink())]
            if OF_A_CLUSTER not in values and any(_is_in(place, folder) for place in places):
                found.append(pid)
    return found


def _is_in(place: str, folder: str) -> bool:
    return place == folder or place.startswith(f"{folder}/")


def main() -> None:
    """Wait for the end of the tests, and clean up."""
    sys.stdin.read()
    processes.kill_all(lambda: started_in(sys.argv[1]))


if __name__ == "__main__":
    main()
