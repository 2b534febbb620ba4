"""Levers change how long a run takes, and nothing that comes of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from federation.beds import Bed
from flowerbed import processes, templates
from flowerbed.flower.releases import DEFAULT, Row
from flowerbed_inside.levers.lever import LEVERS, NAMES

NONE = "none"


def without(lever: str) -> str:
    return ",".join(name for name in NAMES if name != lever)


@pytest.mark.timeout(900)
def test_what_a_run_saves_does_not_depend_on_levers(tmp_path: Path, row: Row) -> None:
    folder = tmp_path / "digits"
    templates.write("sklearn", folder, "digits", str(row.minor))
    app = Bed(folder)
    saved: dict[str, dict[str, bytes]] = {}
    newest = row.release == DEFAULT.release
    try:
        for levers in ("", NONE, *(without(lever) for lever in NAMES if newest)):
            app.environment = {**os.environ, LEVERS: levers}
            assert app("up", "--detach").status == 0
            said = app("run")
            run = said.last("run")
            assert (said.status, run["verdict"]) == (0, "succeeded"), (levers, run)
            saved[levers] = {path.name: path.read_bytes() for path in Path(run["results"]).iterdir()}
        for levers, files in saved.items():
            assert files.keys() == {"metrics.json", "model.npz"}
            assert files == saved[NONE], levers
        logs = {path.name: path.read_text(errors="replace") for path in (folder / ".flowerbed" / "logs").glob("*.log")}
        assert [name for name, text in logs.items() if "[flowerbed: without the lever" in text] == []
    finally:
        app.clear()
        left = app.processes()
        processes.kill_all(app.processes)
        assert left == []
