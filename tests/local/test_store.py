"""The state database: what is written is read back, and what cannot be used says so."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest

from flowerbed.errors import StateError
from flowerbed.local.store import Store
from flowerbed.runs.records import Exchange, Phase, Replies, Round, RunRecord, Verdict
from flowerbed.runs.runtime import ComponentStatus


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "state.db", create=True)


def test_a_run_is_read_back_as_it_was_written(store: Store) -> None:
    number = store.add_run(app="acme/digits==1.0", config={"num-server-rounds": 3}, timeout=60.0, submitted_at=1.5)
    record = RunRecord(
        number=number,
        flower_id="17446744073709551615",
        app="acme/digits==1.0",
        phase=Phase.FINISHED,
        outcome="completed",
        verdict=Verdict.DEGRADED,
        reason="1 of 1 rounds was short",
        detail="Traceback",
        rounds=(Round(1, (Exchange("train", 2, 1, 1),), {"train/loss": 0.5}, 2.0, 3.0),),
        total_rounds=1,
        config={"num-server-rounds": 3},
        submitted_at=1.5,
        finished_at=4.0,
        results="/results",
        replies=(Replies("17", "train", asked=3, results=2, failures=1, error="ValueError: no", name="hospital-0"),),
        nodes={"17": "hospital-0"},
        waits_for="SuperNodes",
        client_error="hospital-0: ValueError: no",
    )
    store.write_run(record)
    assert store.run(number) == record
    assert store.runs() == [record]
    assert store.runs(unfinished=True) == []
    assert store.run_timeout(number) == 60.0


def test_a_run_of_somebody_else_is_taken_into_history_once(store: Store) -> None:
    run = RunRecord(0, "17", "me/app==1.0", Phase.PENDING, config={"a": 1}, submitted_at=2.0, foreign=True)
    adopted = store.adopt_run(run)
    assert adopted == replace(run, number=1)
    assert store.run(1) == adopted
    assert store.adopt_run(run) is None
    assert store.flower_ids() == {"17"}
    assert [one.number for one in store.runs()] == [1]


def test_history_survives_reopening(tmp_path: Path) -> None:
    with Store(tmp_path / "state.db", create=True) as first:
        first.add_run(app="a", config={}, timeout=None, submitted_at=0.0)
        first.set_facts(state="down")
    with Store(tmp_path / "state.db") as second:
        assert [run.number for run in second.runs()] == [1]
        assert second.facts() == {"state": "down"}


def test_a_request_is_answered_once_and_for_all(store: Store) -> None:
    request = store.ask("submit", run=3)
    assert store.asked() == [(request, "submit", {"run": 3})]
    assert store.answer_to(request) == ("asked", {})
    store.answer(request, {"code": "bad-config", "message": "no such key"}, refused=True)
    assert store.asked() == []
    assert store.answer_to(request) == ("refused", {"code": "bad-config", "message": "no such key"})


def test_components_are_replaced_as_a_whole_and_keep_their_order(store: Store) -> None:
    b, a = (
        ComponentStatus("b", "supernode", "running", 7, 2, {"runtime": "127.0.0.1:9"}, "why", "Isolated", "5 threads"),
        ComponentStatus("a", "superlink", "starting"),
    )
    store.write_components([("u", b), ("v", a)])
    assert store.components() == [b, a]
    store.write_components([("v", a)])
    assert store.components() == [a]


def test_events_are_numbered_and_read_from_a_number_on(store: Store) -> None:
    store.add_event("unit", "superlink", "answers")
    after = store.last_event()
    store.add_event("ready", "demo", "2 of 2")
    assert [(number, event.subject) for number, event in store.events(after)] == [(after + 1, "demo")]


def test_a_state_of_the_first_version_is_taken_over_with_its_history_and_an_unfinished_run(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    first = resources.files("flowerbed.local").joinpath("migrations/0001_initial.sql").read_text(encoding="utf-8")
    with closing(sqlite3.connect(path)) as db:
        db.executescript(first + "PRAGMA user_version = 1;")
        db.execute("INSERT INTO runs (flower_id, app, phase, verdict) VALUES ('1', 'a', 'finished', 'degraded')")
        db.execute("INSERT INTO runs (flower_id, app, phase) VALUES ('2', 'a', 'running')")
        db.commit()
    with Store(path) as store:
        before, going_on = store.runs()
        assert (before.verdict, before.replies, before.nodes) == (Verdict.DEGRADED, None, {})
        store.write_run(replace(going_on, replies=(), nodes={"7": "b"}))
        assert store.runs(unfinished=True) == [replace(going_on, replies=(), nodes={"7": "b"})]


def test_a_newer_schema_is_refused_with_a_way_out(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    Store(path, create=True).close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StateError, match=r"newer Flowerbed \(schema 99"):
        Store(path)


def test_a_broken_database_is_refused_with_a_way_out(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(b"this is no database, whatever its name says" * 100)
    with pytest.raises(StateError, match=r"Move the \.flowerbed folder away"):
        Store(path)


def test_no_state_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="flowerbed up"):
        Store(tmp_path / "state.db")


def test_a_full_disk_leaves_nothing_half_written(store: Store) -> None:
    store.add_run(app="a", config={}, timeout=None, submitted_at=0.0)
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StateError, match="Free some space"):
        store.add_run(app="b" * 100_000, config={}, timeout=None, submitted_at=0.0)
    assert [run.app for run in store.runs()] == ["a"]
