"""Runs on real Flower: what comes out, and what is said about it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from environments import environment_python, flower_process_environment
from federation.beds import FLOWERBED, Bed, tree_of
from json_output import differences

Make = Callable[[str], Bed]
OLDEST, NEWEST = "1.22", "1.42"


def test_the_app_that_flower_itself_writes_runs_unchanged(tmp_path: Path) -> None:
    """`flwr new` of 1.22, the last one whose templates come with it; it asks for flwr[simulation]."""
    flwr = environment_python("1.22.0").with_name("flwr")
    command = [str(flwr), "new", "numpy-app", "--framework", "NumPy", "--username", "tests"]
    subprocess.run(command, cwd=tmp_path, env=flower_process_environment(tmp_path), check=True, capture_output=True)
    app = Bed(tmp_path / "numpy-app")
    before = tree_of(app.folder)
    assert b"flwr[simulation]" in before["pyproject.toml"]

    said = app("run")

    assert (said.status, said.last("run")["verdict"]) == (0, "succeeded")
    assert len(said.last("run")["rounds"]) == 3
    assert [file["name"] for file in app("results").last("results")["files"]] == ["final_model.npz"]
    assert tree_of(app.folder) == before
    assert app.processes() == []


@pytest.mark.parametrize("flower", [OLDEST, NEWEST])
def test_an_app_of_the_older_kind_runs_unchanged(bed: Make, flower: str) -> None:
    """Setuptools, the legacy API, and `[tool.flwr.federations]`; no federation file."""
    app = bed("foreign-setuptools")
    before = tree_of(app.folder)

    said = app("run", ".", "--flower", flower)

    run = said.last("run")
    assert (said.status, run["verdict"]) == (0, "succeeded"), run
    assert len(run["rounds"]) == run["total_rounds"]
    assert [exchange["results"] for exchange in run["rounds"][0]["exchanges"]] == [2, 2]
    assert tree_of(app.folder) == before
    assert app.status()["state"] == "down"
    assert app.processes() == []


@pytest.mark.parametrize("flower", [OLDEST, NEWEST])
def test_clientapps_that_always_raise_are_a_failure_with_their_traceback(bed: Make, flower: str) -> None:
    """Flower itself calls such a run `finished:completed`."""
    app = bed("always-raises")

    said = app("run", "--flower", flower)

    run = said.last("run")
    assert (said.status, run["verdict"]) == (1, "failed")
    assert "got no train result" in run["reason"]
    assert "ValueError: the hospital's data is not mounted" in run["detail"]
    assert "Traceback (most recent call last)" in run["detail"]
    assert "\\u001b" not in json.dumps([line for line in said.lines if line.get("type") != "event"])
    logged = [line["text"] for line in app("logs", "latest").lines]
    assert "here is the ServerApp" in logged
    assert not [line for line in logged if "\x1b" in line]
    shown = subprocess.run(
        [*FLOWERBED, "logs", "latest"],
        cwd=app.folder,
        env={**os.environ, "FORCE_COLOR": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "here is \x1b[34mthe ServerApp\x1b[0m\n" in shown.stdout


def test_one_federation_serves_run_after_run(bed: Make, federation_file: Callable[..., str]) -> None:
    """Up once; a silent app's verdict, run config, results, a bad key, and a stop; then history after down."""
    app = bed("slow")
    federation_file(app)
    up = app("up", "--detach")
    assert up.last("status")["state"] == "ready"
    assert up.last("status")["nodes_online"] == 2

    quick = app("run", "--run-config", "seconds=0.0 num-server-rounds=1")
    assert (quick.status, quick.last("run")["verdict"]) == (0, "succeeded")
    (saved,) = app("results", "1").last("results")["files"]
    assert json.loads(Path(saved["path"]).read_text()) == [1.0]

    wrong = app("run", "--run-config", "second=1.0")
    assert wrong.status == 2
    assert '"seconds"' in wrong.lines[-1]["message"] + str(wrong.lines[-1]["hint"])
    assert [line["number"] for line in app("runs").lines] == [1]

    following = app.start("run", "--run-config", "seconds=60.0")
    app.wait_for_round(1, run=2)
    assert app("results", "1", "*.json", "--into", "mine").last("results")["folder"] == "mine"
    assert [path.read_bytes() for path in (app.folder / "mine").iterdir()] == [Path(saved["path"]).read_bytes()]
    assert app("results", "1", "model.npz").status == 2
    heard, polled = app.heard[:5], len(app.heard)
    for verb in ("status", "logs", "logs superlink", "logs 1", "runs 1", "node list", "trust show"):
        app(*verb.split())
    stopped = app("stop", "latest")
    assert stopped.last("run")["verdict"] == "stopped"
    assert app.finish(following).status == 3

    unknown = app("stop", "17")
    assert unknown.status == 2
    assert "17" in unknown.error

    federation_file(app, more="  serverapp: {env: {COLOUR: violet}}")
    overdue = app("run", "--run-config", "seconds=60.0", "--timeout", "8s")
    [unapplied] = [line["message"] for line in overdue.lines if line.get("kind") == "change"]
    assert unapplied == (
        "federation.yaml is not what runs (superexec-serverapp: another environment variable: COLOUR);"
        " `flowerbed up` applies it"
    )
    assert (overdue.status, overdue.last("run")["verdict"]) == (4, "timed out")

    app.wait(lambda: app.scratch() == [], "the end of the ClientApps' folders")

    app("down")
    assert [line["verdict"] for line in app("runs").lines] == ["succeeded", "stopped", "timed out"]
    app("status")
    assert app("down", "--volumes").last("down") == {"type": "down", "was_up": False, "removed": True}
    assert not (app.folder / ".flowerbed").exists()
    for verb in ("doctor", "env list", "new other"):
        app(*verb.split())
    assert differences("federation", [*heard, *app.heard[polled:]]) == []


def test_a_run_that_waits_for_supernodes_says_so_until_they_come(
    bed: Make, federation_file: Callable[..., str]
) -> None:
    """FedAvg wants two SuperNodes if nobody says otherwise."""
    app = bed("slow")
    federation_file(app, replicas=1)
    app("up", "--detach")
    running = app.start("run", "--run-config", "seconds=0.0 num-server-rounds=1")
    app.wait(lambda: [run["waits_for"] for run in app.status()["runs"] if run["waits_for"]], "the waiting")
    (waiting,) = app.status()["runs"]
    assert waiting["waits_for"] == (
        "SuperNodes: 1 connected, 2 required; the federation has only 1:"
        " lower `min_available_nodes`, `min_train_nodes` and `min_evaluate_nodes` of the app's strategy,"
        " or raise `replicas` in the federation file"
    )
    assert app.run(1)["waits_for"] == waiting["waits_for"]

    federation_file(app, replicas=2)
    up = app("up", "--detach")
    assert up.status == 0, up

    said = app.finish(running)
    run = said.last("run")
    assert (said.status, run["verdict"], run["waits_for"]) == (0, "succeeded", ""), run
    events = [line["message"] for line in said.lines if line["type"] == "event" and line["kind"] == "waiting"]
    assert events[0] == f"waits for {waiting['waits_for']}"


def test_a_legacy_strategy_that_waits_without_a_word_is_said_to_wait(
    bed: Make, federation_file: Callable[..., str]
) -> None:
    app = bed("foreign-setuptools")
    federation_file(app, replicas=1, flower=OLDEST)
    running = app.start("run")
    database = app.folder / ".flowerbed" / "state.db"
    app.wait(lambda: database.exists() and any(run["waits_for"] for run in app.status()["runs"]), "the waiting")
    app("stop", "1")
    said = app.finish(running)
    run = said.last("run")
    assert (said.status, run["verdict"]) == (3, "stopped"), run
    assert "while it waited for more SuperNodes than the 1 of the federation" in run["reason"]
    assert "`min_available_clients`" in run["reason"]


def test_two_runs_at_once_share_the_federation_that_the_first_brought_up(bed: Make) -> None:
    app = bed("slow")
    first = app.start("run", "--run-config", "seconds=0.0 num-server-rounds=1")
    app.wait(lambda: (app.folder / ".flowerbed" / "state.db").exists() and app.status()["state"] == "ready", "ready")

    second = app("run", "--run-config", "seconds=5.0 num-server-rounds=1")

    assert [app.finish(first).last("run")["verdict"], second.last("run")["verdict"]] == ["succeeded", "succeeded"]
    for number in ("1", "2"):
        (saved,) = app("results", number).last("results")["files"]
        assert json.loads(Path(saved["path"]).read_text()) == [1.0]
    assert app.processes() == []


def test_an_app_with_a_loop_of_its_own_is_judged_by_what_the_superlink_counted(
    bed: Make, federation_file: Callable[..., str]
) -> None:
    """It prints not a word; what its SuperNodes replied is known all the same, and by their names."""
    app = bed("silent")
    federation_file(app)
    app("up", "--detach")

    said = app("run")
    run = said.last("run")
    assert (said.status, run["verdict"]) == (0, "succeeded"), run
    assert run["reason"] == "4 replies from 2 SuperNodes, none an error."
    assert [(one["name"], one["kind"], one["asked"], one["results"]) for one in run["replies"]] == [
        ("site-0", "query", 2, 2),
        ("site-1", "query", 2, 2),
    ]
    assert run["nodes"] == {one["node"]: one["name"] for one in run["replies"]}

    said = app("run", "--run-config", 'failing="everywhere"')
    run = said.last("run")
    assert (said.status, run["verdict"]) == (1, "failed"), run
    assert run["reason"] == "No SuperNode replied with a result: 4 of 4 replies were errors (site-0, site-1)."
    assert run["detail"].startswith("Traceback (most recent call last)")
    assert run["detail"].rstrip().endswith("ValueError: the hospital's data is not mounted")
    assert run["client_error"] in {f"site-{n}: ValueError: the hospital's data is not mounted" for n in (0, 1)}
    assert app.run(1)["replies"] != app.run(2)["replies"] == run["replies"]


def test_a_supernode_that_fails_is_named_also_where_it_does_not_say_its_id_itself(bed: Make) -> None:
    """And the federation is taken down only when the ServerApp's last thread has saved what it had to."""
    app = bed("silent")
    said = app("run", "--flower", OLDEST, "--run-config", 'failing="1"')
    run = said.last("run")
    assert (said.status, run["verdict"]) == (0, "degraded"), run
    assert run["reason"] == "2 of 4 replies were errors (supernode-1)."
    assert run["client_error"] == "supernode-1: ValueError: the hospital's data is not mounted"
    assert [file["name"] for file in app("results").last("results")["files"]] == ["late.txt"]


def test_an_import_error_of_the_serverapp_is_shown_before_anything_starts(bed: Make) -> None:
    app = bed("broken-import")
    said = app("run")
    assert said.status == 2
    assert "the ServerApp cannot be imported" in said.error
    assert "ModuleNotFoundError" in said.error
    assert not (app.folder / ".flowerbed" / "state.db").exists()
