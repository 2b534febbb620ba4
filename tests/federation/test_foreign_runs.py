"""Runs that stock `flwr run` submits to a federation of ours: they are followed, judged and kept like our own."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from environments import environment_python, flower_process_environment
from federation.beds import APPS, PATIENCE_SECONDS, Bed
from flowerbed.flower.releases import find

Make = Callable[[str], Bed]
OLDEST, NEWEST = "1.22", "1.42"


class Stock:
    """A user with Flower's own command line, an app in a folder of their own, and the authority's certificate."""

    def __init__(self, folder: Path, bed: Bed, release: str) -> None:
        self._app = folder / "app"
        self._flwr = environment_python(str(find(release).release)).with_name("flwr")
        self._environment = flower_process_environment(folder)
        shutil.copytree(APPS / "slow", self._app)
        authority = folder / "authority.pem"
        authority.write_text(bed("trust", "export").last("authority")["certificate"])
        (superlink,) = [one for one in bed.status()["components"] if one["name"] == "superlink"]
        control = superlink["addresses"].get("control") or superlink["addresses"]["api"]
        place = f'address = "{control}"\nroot-certificates = "{authority}"\n'
        if release == OLDEST:  # connections are in the app's own file
            with (self._app / "pyproject.toml").open("a") as file:
                file.write(f'\n[tool.flwr.federations]\ndefault = "ours"\n[tool.flwr.federations.ours]\n{place}')
        else:
            (folder / "config.toml").write_text(f'[superlink]\ndefault = "ours"\n[superlink.ours]\n{place}')

    def run(self, config: str) -> str:
        """Submit a run; return Flower's id of it."""
        command = [str(self._flwr), "run", str(self._app), "ours", "--run-config", config, "--format", "json"]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
        answer = json.loads(done.stdout[done.stdout.index("{") :])
        assert answer["success"], done.stdout + done.stderr
        return str(answer["run-id"])


@pytest.mark.parametrize("flower", [OLDEST, NEWEST])
def test_a_run_of_flwr_run_is_listed_followed_judged_and_stopped_like_ours(
    bed: Make, federation_file: Callable[..., str], tmp_path: Path, flower: str
) -> None:
    app = bed("slow")
    federation_file(app, flower=flower)
    app("up", "--detach")
    user = Stock(tmp_path, app, flower)

    # Theirs, and ours at the same time.
    first = user.run("seconds=0.0 num-server-rounds=1")
    ours = app("run", "--run-config", "seconds=0.0 num-server-rounds=1").last("run")
    assert (ours["verdict"], ours["foreign"]) == ("succeeded", False)
    theirs = app("runs", first).last("run")
    app.wait(lambda: app.run(theirs["number"])["verdict"], "its verdict")
    theirs = app.run(theirs["number"])
    assert (theirs["verdict"], theirs["foreign"]) == ("succeeded", True), theirs
    assert theirs["app"] == "tests/slow==1.0.0"
    assert theirs["config"] == {"seconds": 0.0, "num-server-rounds": 1}
    assert len(theirs["rounds"]) == 1
    assert theirs["submitted_at"] < ours["submitted_at"] + PATIENCE_SECONDS
    (saved,) = app("results", str(theirs["number"])).last("results")["files"]
    assert json.loads(Path(saved["path"]).read_text()) == [1.0]
    assert any("ROUND 1/1" in line["text"] for line in app("logs", str(theirs["number"])).lines)
    assert sorted(line["number"] for line in app("runs").lines) == [1, 2]

    # The supervisor finds the next one by itself; it counts as unfinished, and can be stopped.
    long = user.run("seconds=600.0")
    app.wait(lambda: [run["flower_id"] for run in app.status()["runs"]] == [long], "notice of it")
    assert app.status()["runs"][0]["foreign"]
    app.wait_for_round(1, run=3)
    other = NEWEST if flower == OLDEST else OLDEST
    refused = app("up", "--detach", "--flower", other)
    assert (refused.status, "run 3 is not finished" in refused.error) == (2, True)
    assert app("stop", long).last("run")["verdict"] == "stopped"

    if flower == OLDEST:
        return

    # One that is submitted just before the federation goes down is stopped with it, and one is new to history.
    last = user.run("seconds=600.0")
    app("down")
    assert app("runs", last).last("run")["verdict"] == "stopped"
    with closing(sqlite3.connect(app.folder / ".flowerbed" / "state.db", isolation_level=None)) as history:
        history.execute("DELETE FROM runs WHERE flower_id = ?", (first,))
    app("up", "--detach")
    found = app("runs", first).last("run")
    assert found["number"] == 5
    app.wait(lambda: app.run(5)["verdict"], "its verdict")
    found = app.run(5)
    assert (found["verdict"], found["foreign"]) == ("succeeded", True), found
    assert abs(found["finished_at"] - theirs["finished_at"]) < 1.0
    assert len({line["flower_id"] for line in app("runs").lines}) == 4
