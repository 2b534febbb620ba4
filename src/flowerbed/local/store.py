"""The state of one local federation in SQLite: the only thing that the verbs and the supervisor share.

Readers never wait (WAL), writers wait at most `BUSY_SECONDS`. The schema is made by the numbered files in
`migrations/`; ``PRAGMA user_version`` says how far a database is.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from importlib import resources
from pathlib import Path
from typing import Any, Self

from flowerbed.errors import StateError
from flowerbed.runs.records import Phase, RunRecord, Verdict, replies_from, rounds_from
from flowerbed.runs.runtime import ComponentStatus, Event

BUSY_SECONDS = 10.0
EVENTS_KEPT = 5_000
USAGE = "usage"
"""The code of an answer that refuses what a verb must not ask for now."""


class Store:
    """An open state database.

    Parameters
    ----------
    path : Path
        The database file.
    create : bool
        Make it, and bring its schema up to date, if need be.

    Raises
    ------
    StateError
        If it cannot be opened, is broken, or was written by a newer Flowerbed.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self.path = path
        if not create and not path.exists():
            raise StateError(
                "no federation was started here yet", where=str(path.parent.parent), hint="Start it: flowerbed up"
            )
        with _explained(path):
            self._db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
            self._db.row_factory = sqlite3.Row
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._migrate()

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _migrate(self) -> None:
        steps = _migrations()
        version: int = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > len(steps):
            raise StateError(
                f"the state was written by a newer Flowerbed (schema {version}, this one knows {len(steps)})",
                where=str(self.path),
                hint="Update Flowerbed, or move the .flowerbed folder away to start anew (it keeps its run history).",
            )
        for number, script in enumerate(steps[version:], start=version + 1):
            self._db.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;")

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with _explained(self.path):
            db = self._db
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                if db.in_transaction:  # a full disk has ended it already
                    db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")

    # Facts: single values about the federation as a whole.

    def facts(self) -> dict[str, Any]:
        """Return every fact: ``state``, ``release``, ``nodes_online`` and so on."""
        return {row["name"]: json.loads(row["value"]) for row in self._db.execute("SELECT name, value FROM facts")}

    def set_facts(self, **facts: object) -> None:
        """Write facts."""
        with self._write() as db:
            db.executemany(
                "INSERT INTO facts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                [(name, json.dumps(value)) for name, value in facts.items()],
            )

    # Components.

    def components(self) -> list[ComponentStatus]:
        """Return every component as last observed, in the order of the topology."""
        rows = self._db.execute("SELECT * FROM components ORDER BY position")
        return [
            ComponentStatus(
                name=row["name"],
                role=row["role"],
                state=row["state"],
                pid=row["pid"],
                restarts=row["restarts"],
                addresses=json.loads(row["addresses"]),
                note=row["note"],
                execution=row["execution"],
                execution_why=row["execution_why"],
            )
            for row in rows
        ]

    def write_components(self, rows: list[tuple[str, ComponentStatus]]) -> None:
        """Replace all components by these (unit, status) pairs."""
        with self._write() as db:
            db.execute("DELETE FROM components")
            db.executemany(
                "INSERT INTO components VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        *(c.name, unit, c.role, position, c.state, c.pid, c.restarts, json.dumps(c.addresses), c.note),
                        *(c.execution, c.execution_why),
                    )
                    for position, (unit, c) in enumerate(rows)
                ],
            )

    # Events.

    def add_event(self, kind: str, subject: str, message: str, *, at: float | None = None) -> None:
        """Record that something happened, just now or at a time; the oldest beyond `EVENTS_KEPT` are dropped."""
        with self._write() as db:
            cursor = db.execute(
                "INSERT INTO events (at, kind, subject, message) VALUES (?, ?, ?, ?)",
                (time.time() if at is None else at, kind, subject, message),
            )
            db.execute("DELETE FROM events WHERE id <= ?", ((cursor.lastrowid or 0) - EVENTS_KEPT,))

    def events(self, after: int = 0) -> list[tuple[int, Event]]:
        """Return the events numbered above `after`, oldest first."""
        rows = self._db.execute("SELECT * FROM events WHERE id > ? ORDER BY id", (after,))
        return [(row["id"], Event(row["at"], row["kind"], row["subject"], row["message"])) for row in rows]

    def last_event(self) -> int:
        """Return the number of the newest event."""
        return int(self._db.execute("SELECT coalesce(max(id), 0) FROM events").fetchone()[0])

    # Requests from the verbs to the supervisor.

    def ask(self, kind: str, **payload: object) -> int:
        """Leave a request for the supervisor; return its number."""
        with self._write() as db:
            cursor = db.execute(
                "INSERT INTO requests (at, kind, payload) VALUES (?, ?, ?)", (time.time(), kind, json.dumps(payload))
            )
            return int(cursor.lastrowid or 0)

    def asked(self) -> list[tuple[int, str, dict[str, Any]]]:
        """Return the requests that nobody has answered, oldest first."""
        rows = self._db.execute("SELECT id, kind, payload FROM requests WHERE state = 'asked' ORDER BY id")
        return [(row["id"], row["kind"], json.loads(row["payload"])) for row in rows]

    def answer(self, request: int, answer: dict[str, object], *, refused: bool = False) -> None:
        """Answer a request."""
        with self._write() as db:
            db.execute(
                "UPDATE requests SET state = ?, answer = ? WHERE id = ?",
                ("refused" if refused else "done", json.dumps(answer), request),
            )

    def answer_to(self, request: int) -> tuple[str, dict[str, Any]]:
        """Return a request's state (``asked``, ``done``, ``refused``) and the answer to it."""
        row = self._db.execute("SELECT state, answer FROM requests WHERE id = ?", (request,)).fetchone()
        return row["state"], json.loads(row["answer"])

    # Runs.

    def add_run(self, *, app: str, config: dict[str, object], timeout: float | None, submitted_at: float) -> int:
        """Open a new run in history; return its number."""
        with self._write() as db:
            cursor = db.execute(
                "INSERT INTO runs (app, phase, config, timeout, submitted_at) VALUES (?, ?, ?, ?, ?)",
                (app, Phase.SUBMITTING, json.dumps(config), timeout, submitted_at),
            )
            return int(cursor.lastrowid or 0)

    def adopt_run(self, record: RunRecord) -> RunRecord | None:
        """Open a run in history that somebody else submitted; return it with its number, None if it is known."""
        with self._write() as db:
            cursor = db.execute(
                "INSERT OR IGNORE INTO runs (flower_id, app, phase, config, submitted_at, is_foreign)"
                " VALUES (?, ?, ?, ?, ?, 1)",
                (record.flower_id, record.app, record.phase, json.dumps(record.config), record.submitted_at),
            )
            return replace(record, number=int(cursor.lastrowid or 0)) if cursor.rowcount else None

    def write_run(self, record: RunRecord) -> None:
        """Write what is now known of a run."""
        with self._write() as db:
            db.execute(
                "UPDATE runs SET flower_id = ?, app = ?, phase = ?, outcome = ?, verdict = ?, reason = ?, detail = ?,"
                " rounds = ?, total_rounds = ?, finished_at = ?, results = ?, replies = ?, nodes = ?,"
                " waits_for = ?, client_error = ? WHERE number = ?",
                (
                    record.flower_id,
                    record.app,
                    record.phase,
                    record.outcome,
                    record.verdict,
                    record.reason,
                    record.detail,
                    json.dumps([asdict(item) for item in record.rounds]),
                    record.total_rounds,
                    record.finished_at,
                    record.results,
                    None if record.replies is None else json.dumps([asdict(item) for item in record.replies]),
                    json.dumps(record.nodes),
                    record.waits_for,
                    record.client_error,
                    record.number,
                ),
            )

    def runs(self, *, unfinished: bool = False) -> list[RunRecord]:
        """Return the runs of history, oldest first."""
        where = "WHERE phase != 'finished'" if unfinished else ""
        return [_run(row) for row in self._db.execute(f"SELECT * FROM runs {where} ORDER BY number")]  # noqa: S608

    def run(self, number: int) -> RunRecord | None:
        """Return one run."""
        row = self._db.execute("SELECT * FROM runs WHERE number = ?", (number,)).fetchone()
        return None if row is None else _run(row)

    def last_seen(self, number: int) -> float | None:
        """Return when the newest event of a run happened (Unix seconds); None if there is none."""
        row = self._db.execute(
            "SELECT max(at) FROM events WHERE kind IN ('run', 'waiting') AND subject = ?", (str(number),)
        ).fetchone()
        at: float | None = row[0]
        return at

    def flower_ids(self) -> set[str]:
        """Return Flower's ids of all runs of history."""
        return {row[0] for row in self._db.execute("SELECT flower_id FROM runs WHERE flower_id IS NOT NULL")}

    def run_timeout(self, number: int) -> float | None:
        """Return a run's time limit in seconds."""
        row = self._db.execute("SELECT timeout FROM runs WHERE number = ?", (number,)).fetchone()
        return None if row is None else row["timeout"]


def _migrations() -> list[str]:
    folder = resources.files("flowerbed.local").joinpath("migrations")
    files = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".sql")), key=lambda entry: entry.name)
    return [entry.read_text(encoding="utf-8") for entry in files]


def _run(row: sqlite3.Row) -> RunRecord:
    rounds = rounds_from(json.loads(row["rounds"]))
    return RunRecord(
        number=row["number"],
        flower_id=row["flower_id"],
        app=row["app"],
        phase=Phase(row["phase"]),
        outcome=row["outcome"],
        verdict=None if row["verdict"] is None else Verdict(row["verdict"]),
        reason=row["reason"],
        detail=row["detail"],
        rounds=rounds,
        total_rounds=row["total_rounds"],
        config=json.loads(row["config"]),
        submitted_at=row["submitted_at"],
        finished_at=row["finished_at"],
        results=row["results"],
        replies=None if row["replies"] is None else replies_from(json.loads(row["replies"])),
        nodes=json.loads(row["nodes"]),
        foreign=bool(row["is_foreign"]),
        waits_for=row["waits_for"],
        client_error=row["client_error"],
    )


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        text = str(error)
        if "full" in text:
            hint = "Free some space on that disk and run the command again; nothing was half written."
        elif "readonly" in text or "unable to open" in text:
            hint = "Make the .flowerbed folder writable for you, or copy the app elsewhere."
        elif "malformed" in text or "not a database" in text:
            hint = "Move the .flowerbed folder away (its logs and results stay readable) and start again."
        else:
            hint = None
        raise StateError(f"the state cannot be used: {text}", where=str(path), hint=hint) from error
