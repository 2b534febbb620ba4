"""Levers change how long a run takes, and nothing that comes of it."""

from __future__ import annotations

import os
import re
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from federation.beds import Bed
from flowerbed import processes, templates
from flowerbed.flower.releases import DEFAULT, Row
from flowerbed_inside.launch.levers import LEVERS, NAMES
from flowerbed_inside.launch.pace import QUICK_POLLS

NONE = "none"
POLL = re.compile(r'(\S+)Z .*127\.0\.0\.1:(\d+) - "POST /v1/fleet/pull-messages')
DOUBLINGS = 10
"""How often the first sleep doubles until it is as long as Flower's."""
MESSAGES = 6
"""What a SuperNode gets in a run of three rounds."""


def without(lever: str) -> str:
    return ",".join(name for name in NAMES if name != lever)


def quick_polls(log: str) -> dict[str, int]:
    """Return how many polls followed the one before within less than Flower's sleep, by SuperNode."""
    times: dict[str, list[datetime]] = {}
    for when, node in POLL.findall(log):
        times.setdefault(node, []).append(datetime.fromisoformat(when))
    return {
        node: sum((later - earlier).total_seconds() < 2.9 for earlier, later in pairwise(polls))
        for node, polls in times.items()
    }


@pytest.mark.timeout(900)
def test_what_a_run_saves_does_not_depend_on_levers(tmp_path: Path, row: Row) -> None:
    folder = tmp_path / "digits"
    templates.write("sklearn", folder, "digits", str(row.minor))
    file = folder / "federation.yaml"
    more = "spec:\n  superlink: {env: {FLWR_LOG_LEVEL: DEBUG}}\n"  # then newer ones log each request
    file.write_text(file.read_text(encoding="utf-8").replace("spec:\n", more, 1), encoding="utf-8")
    app = Bed(folder)
    saved: dict[str, dict[str, bytes]] = {}
    newest = row.release == DEFAULT.release
    try:
        for levers in ("", NONE, *(without(lever) for lever in NAMES if newest)):
            app.environment = {**os.environ, LEVERS: levers}
            assert app("up", "--detach").status == 0
            before = len(app.log("superlink"))
            said = app("run")
            run = said.last("run")
            assert (said.status, run["verdict"]) == (0, "succeeded"), (levers, run)
            saved[levers] = {path.name: path.read_bytes() for path in Path(run["results"]).iterdir()}
            if levers == without("hold"):
                polls = quick_polls(app.log("superlink")[before:])
                assert len(polls) >= 2
                assert max(polls.values()) <= (QUICK_POLLS + DOUBLINGS) * (MESSAGES + 2)
        for levers, files in saved.items():
            assert files == saved[NONE], levers
            assert files.keys() == {"metrics.json", "model.npz"}
        logs = {path.name: path.read_text(errors="replace") for path in (folder / ".flowerbed" / "logs").glob("*.log")}
        assert [name for name, text in logs.items() if "[flowerbed: without the lever" in text] == []
    finally:
        app.clear()
        left = app.processes()
        processes.kill_all(app.processes)
        assert left == []
