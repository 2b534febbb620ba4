"""The state folder of a federation that is up is deleted, moved or replaced: all of it ends."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from federation.beds import Bed
from flowerbed import processes

Make = Callable[[str], Bed]


@pytest.fixture
def up(bed: Make, federation_file: Callable[..., str]) -> Iterator[Bed]:
    """Give a federation that is up; what a failed test leaves of it is killed."""
    app = bed("slow")
    federation_file(app)
    assert app("up", "--detach").status == 0
    yield app
    processes.kill_all(app.processes)


def standing(status: dict[str, Any]) -> tuple[object, ...]:
    """Return what stays as it is while nothing happens; libraries of apps may be loaded meanwhile."""
    return status["state"], status["supervisor_pid"], [(one["state"], one["pid"]) for one in status["components"]]


def delete(folder: Path) -> None:
    """Delete a folder in which programs make files meanwhile."""
    while folder.exists():
        shutil.rmtree(folder, ignore_errors=True)


def test_a_lock_that_was_deleted_is_taken_again_and_a_deleted_folder_takes_all_down(up: Bed) -> None:
    state = up.folder / ".flowerbed"
    before = up.status()
    (state / "lock").unlink()
    assert standing(up.status()) == standing(before)
    assert up("run", "--run-config", "seconds=0.0 num-server-rounds=1").last("run")["verdict"] == "succeeded"
    assert up.status()["supervisor_pid"] == before["supervisor_pid"]

    following = up.start("run", "--run-config", "seconds=60.0")
    up.wait_for_round(1, run=2)
    delete(state)
    seen = up.status()
    assert seen["state"] == "down" or "was deleted or moved while it was up" in seen["reason"]
    up.wait(lambda: up.processes() == [], "the end of all processes")
    assert up.finish(following).status == 1
    assert not state.exists()
    assert up.status()["state"] == "down"
    assert up("down").last("down")["was_up"] is False
