"""`flowerbed results` without a federation: a history in a state folder, and files beside it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flowerbed.local.layout import StateFolder
from flowerbed.local.store import Store
from flowerbed.runs.records import Phase, RunRecord, Verdict
from saying import Say


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one run, which saved a file and a link that leads out."""
    there = StateFolder.beside(tmp_path)
    there.create()
    with Store(there.database, create=True) as store:
        number = store.add_run(app="me/app==1.0", config={}, timeout=None, submitted_at=1.0)
        store.write_run(RunRecord(number, "17", "me/app==1.0", Phase.FINISHED, verdict=Verdict.SUCCEEDED))
    results = there.run(number) / "results"
    results.mkdir(parents=True)
    (results / "model.npz").write_bytes(b"weights")
    (results / "passwd").symlink_to("/etc/passwd")
    return tmp_path


def test_a_file_in_the_place_of_a_run_is_answered_with_the_command(folder: Path, say: Say) -> None:
    status, said = say("results", "model.npz", "a b", "--file", str(folder))
    hint = "If it is a file, name the run before it: flowerbed results latest model.npz 'a b'"
    assert (status, said) == (2, f"flowerbed: 'model.npz' names no run\n{hint}\n")


def test_where_all_that_is_asked_for_is_left_out_nothing_is_made(folder: Path, say: Say) -> None:
    into = folder / "out"
    asked = ("results", "latest", "passwd", "--file", str(folder))
    status, said = say(*asked, "--into", str(into), "--json")
    listed, error = map(json.loads, said.splitlines())
    assert (status, listed["left_out"][0]["name"], listed["files"]) == (1, "passwd", [])
    assert error["message"] == "nothing of run 1 was fetched: all that was asked for is left out"
    assert not into.exists()
    assert say(*asked)[0] == 0  # only listed
    assert say("results", "--file", str(folder), "--into", str(into))[0] == 0
    assert [path.name for path in into.iterdir()] == ["model.npz"]
