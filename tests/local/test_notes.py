"""What the supervisor cannot write is read all the same, and written when there is room."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from flowerbed.local.board import read_board
from flowerbed.local.notes import Notes, ReadingStore
from flowerbed.local.store import Store
from flowerbed.runs.records import Phase, Verdict
from flowerbed.runs.runtime import ComponentStatus

LONG = "a long reason " * 1000
"""Longer than what a full database has room for."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "state.db", create=True) as store:
        store.set_facts(supervisor_pid=os.getpid(), state="ready")
        store.add_event("supervisor", "test", "starting")
        yield store


@pytest.fixture
def notes(store: Store) -> Iterator[Notes]:
    notes = Notes(store)
    yield notes
    notes.close()


@contextmanager
def full(store: Store) -> Iterator[None]:
    """Have SQLite find that there is no room, as on a disk that is full."""
    [pages] = store._db.execute("PRAGMA page_count").fetchone()
    store._db.execute(f"PRAGMA max_page_count = {pages}")
    yield
    store._db.execute("PRAGMA max_page_count = 1000000")


def test_nothing_is_lost_on_a_full_disk(store: Store, notes: Notes) -> None:
    number = store.add_run(app="app", config={}, timeout=None, submitted_at=1.0)
    record = store.run(number)
    assert record is not None
    over = replace(record, phase=Phase.FINISHED, verdict=Verdict.TIMED_OUT, reason=LONG)
    with full(store), ReadingStore(store.path) as seen:
        notes.write_run(over)
        notes.set_facts(state="degraded", reason=LONG)
        notes.write_components([("site-0", ComponentStatus("site-0", "supernode", "running", 12, note=LONG))])
        notes.add_event("unit", "site-0", LONG)
        notes.answer(7, {"stopped": True})
        notes.observed()

        assert (notes.run(number), notes.runs(unfinished=True)) == (over, [])
        assert (seen.run(number), seen.runs(), seen.runs(unfinished=True)) == (over, [over], [])
        assert (seen.facts()["state"], seen.components()[0].pid) == ("degraded", 12)
        assert seen.answer_to(7) == ("done", {"stopped": True})
        at, trouble = seen.observation()
        assert at is not None
        assert "full" in trouble
        told = seen.events()
        assert [(n, event.kind) for n, event in told] == [(1, "supervisor"), (2, "storage"), (3, "unit")]
        assert (seen.last_event(), [n for n, _ in seen.events(after=2)]) == (3, [3])
        with Store(store.path) as written:
            assert written.run(number) == record

    notes.write()
    assert notes.trouble == ""
    with Store(store.path) as written:
        assert (written.run(number), written.facts()["state"]) == (over, "degraded")
        assert written.events()[:3] == told
        assert [event.kind for _, event in written.events()[3:]] == ["storage"]


def test_what_another_federations_supervisor_shows_is_not_read(store: Store, notes: Notes, tmp_path: Path) -> None:
    notes.observed()
    with Store(tmp_path / "other.db", create=True) as other:
        other.set_facts(supervisor_pid=os.getpid())
    with ReadingStore(store.path) as mine, ReadingStore(tmp_path / "other.db") as others:
        assert mine.observation()[0] is not None
        assert others.observation() == (None, "")


def test_a_process_that_shows_nothing(tmp_path: Path) -> None:
    assert read_board(os.getppid(), tmp_path) == {}
    assert read_board(2**22 + 1, tmp_path) == {}
