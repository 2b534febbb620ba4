"""The state folder of an older Flowerbed is taken over, with its history and a run that was in progress.

`samples/state-before-13` was made by a real federation, as it was before restarts were refused under a run: one run had
succeeded, one had timed out, and one was in its second round when everything was killed. Its paths begin with /study.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

from federation.beds import Bed

SAMPLE = Path(__file__).parent / "samples" / "state-before-13"


def bring(app: Bed) -> None:
    """Put the sample where it could have been made."""
    state = app.folder / ".flowerbed"
    shutil.copytree(SAMPLE, state)
    plan = state / "plan.json"
    plan.write_text(plan.read_text(encoding="utf-8").replace("/study", str(app.folder)), encoding="utf-8")
    with sqlite3.connect(state / "state.db") as database:
        database.execute("UPDATE runs SET results = replace(results, '/study', ?)", (str(app.folder),))
    database.close()


def test_history_and_a_run_in_progress_are_taken_over(
    bed: Callable[[str], Bed], federation_file: Callable[..., str]
) -> None:
    app = bed("slow")
    federation_file(app, flower="1.42")
    bring(app)

    before = app("runs").lines
    assert [(run["number"], run["phase"], run["verdict"]) for run in before] == [
        (1, "finished", "succeeded"),
        (2, "finished", "timed out"),
        (3, "finished", "failed"),
    ]
    assert before[2]["reason"] == "the ServerApp was lost: the supervisor that held it was killed"
    assert before[0]["results"] == str(app.folder / ".flowerbed" / "runs" / "1" / "results")
    status = app.status()
    assert (status["state"], status["flower"], status["nodes_expected"]) == ("down", "1.42.0", 2)
    assert "run 3 was lost with it" in status["reason"]
    assert any("[ROUND 2/30]" in line["text"] for line in app("logs", "3").lines)

    assert app("up", "--detach").last("status")["state"] == "ready"
    run = app("run", "--run-config", "seconds=0.0 num-server-rounds=1").last("run")
    assert (run["number"], run["verdict"]) == (4, "succeeded"), run
    after = app("runs").lines
    assert after[:2] == before[:2]
    assert (after[2]["verdict"], after[2]["rounds"]) == ("failed", before[2]["rounds"])
