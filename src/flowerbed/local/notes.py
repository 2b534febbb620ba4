"""What the supervisor writes down, kept in memory while it cannot be written.

A full disk must not keep a federation from being looked after. So every write goes to memory first, then to the state
database; what the database does not take is shown on the `board`, and written as soon as there is room.
`ReadingStore` is how commands read both.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from flowerbed.errors import FlowerbedError
from flowerbed.local.board import Board, read_board
from flowerbed.local.logs import complain
from flowerbed.local.store import Store
from flowerbed.runs.records import Phase, RunRecord, record_from
from flowerbed.runs.runtime import ComponentStatus, Event

EVENTS_KEPT = 500
"""How many events are kept while they cannot be written; the oldest are dropped."""


class Notes:
    """The state of a federation as its supervisor writes it; no write fails.

    Parameters
    ----------
    store : Store
        The state database.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._board = Board()
        self._facts: dict[str, Any] = {}
        self._components: list[tuple[str, ComponentStatus]] | None = None
        self._runs: dict[int, RunRecord] = {}
        self._answers: dict[int, tuple[dict[str, object], bool]] = {}
        self._events: list[Event] = []
        self._observed_at: float | None = None
        self.trouble = ""

    def close(self) -> None:
        """Show nothing more to commands."""
        self._board.close()

    def facts(self) -> dict[str, Any]:
        """Return every fact."""
        return self._store.facts() | self._facts

    def set_facts(self, **facts: object) -> None:
        """Write facts."""
        self._facts.update(facts)
        self.write()

    def write_components(self, rows: list[tuple[str, ComponentStatus]]) -> None:
        """Replace all components by these (unit, status) pairs."""
        self._components = rows
        self.write()

    def add_event(self, kind: str, subject: str, message: str) -> None:
        """Record that something happened just now."""
        self._report(kind, subject, message)
        self.write()

    def write_run(self, record: RunRecord) -> None:
        """Write what is now known of a run."""
        self._runs[record.number] = record
        self.write()

    def answer(self, request: int, answer: dict[str, object], *, refused: bool = False) -> None:
        """Answer a request."""
        self._answers[request] = answer, refused
        self.write()

    def observed(self) -> None:
        """Note that the federation was looked at just now."""
        self._observed_at = time.time()
        self._show()

    def asked(self) -> list[tuple[int, str, dict[str, Any]]]:
        """Return the requests that nobody has answered, oldest first."""
        return [one for one in self._store.asked() if one[0] not in self._answers]

    def run(self, number: int) -> RunRecord | None:
        """Return one run."""
        return self._runs.get(number) or self._store.run(number)

    def adopt_run(self, record: RunRecord) -> RunRecord | None:
        """Open a run in history that somebody else submitted; None if it is known, or cannot be written now."""
        if self.trouble:
            return None
        try:
            return self._store.adopt_run(record)
        except FlowerbedError:
            return None

    def last_seen(self, number: int) -> float | None:
        """Return when the newest event of a run happened (Unix seconds); None if there is none."""
        return self._store.last_seen(number)

    def flower_ids(self) -> set[str]:
        """Return Flower's ids of all runs of history."""
        return self._store.flower_ids()

    def run_timeout(self, number: int) -> float | None:
        """Return a run's time limit in seconds."""
        return self._store.run_timeout(number)

    def runs(self, *, unfinished: bool = False) -> list[RunRecord]:
        """Return the runs of history, oldest first."""
        return _with(self._store.runs(unfinished=unfinished), self._runs.values(), unfinished=unfinished)

    def write(self) -> None:
        """Write what was not written yet, if that is possible now; say so when that changes."""
        try:
            self._write_all()
        except (FlowerbedError, OSError) as error:
            if not self.trouble:
                self.trouble = str(error)
                message = (
                    f"nothing can be written down: {error}; programs and time limits are looked after all the same"
                )
                self._report("storage", "supervisor", message)
                complain(message)
        else:
            if self.trouble:
                self.trouble = ""
                self._report("storage", "supervisor", "everything is written down again")
                return self.write()
        return self._show()

    def _report(self, kind: str, subject: str, message: str) -> None:
        self._events.append(Event(time.time(), kind, subject, message))
        del self._events[:-EVENTS_KEPT]

    def _write_all(self) -> None:
        if self._facts:
            self._store.set_facts(**self._facts)
            self._facts = {}
        if self._components is not None:
            self._store.write_components(self._components)
            self._components = None
        for number, record in list(self._runs.items()):
            self._store.write_run(record)
            del self._runs[number]
        for request, (answer, refused) in list(self._answers.items()):
            self._store.answer(request, answer, refused=refused)
            del self._answers[request]
        while self._events:
            event = self._events[0]
            self._store.add_event(event.kind, event.subject, event.message, at=event.at)
            del self._events[0]

    def _show(self) -> None:
        self._board.show(
            {
                "database": str(self._store.path),
                "observed_at": self._observed_at,
                "trouble": self.trouble,
                "facts": self._facts,
                "components": None if self._components is None else [asdict(one) for _, one in self._components],
                "runs": [asdict(record) for record in self._runs.values()],
                "answers": {str(number): answer for number, answer in self._answers.items()},
                "events": [asdict(event) for event in self._events],
                "first_event": self._store.last_event() + 1 if self._events else 0,
            }
        )


class ReadingStore(Store):
    """The state of a federation as commands read it: the database, and what its supervisor could not write.

    Parameters
    ----------
    path, create
        As of `Store`.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        super().__init__(path, create=create)

    def observation(self) -> tuple[float | None, str]:
        """Return when the federation was looked at last, where that is known, and why nothing can be written."""
        board = self._board()
        return board.get("observed_at"), board.get("trouble", "")

    def facts(self) -> dict[str, Any]:
        """Return every fact."""
        return {**super().facts(), **self._board().get("facts", {})}

    def components(self) -> list[ComponentStatus]:
        """Return every component as last observed, in the order of the topology."""
        shown = self._board().get("components")
        return super().components() if shown is None else [ComponentStatus(**one) for one in shown]

    def events(self, after: int = 0) -> list[tuple[int, Event]]:
        """Return the events numbered above `after`, oldest first."""
        written = super().events(after)  # first: what is written meanwhile is found the next time
        board = self._board()
        last = written[-1][0] if written else after
        shown = enumerate(board.get("events", ()), start=board.get("first_event", 0))
        return written + [(number, Event(**one)) for number, one in shown if number > last]

    def last_event(self) -> int:
        """Return the number of the newest event."""
        return super().last_event() + len(self._board().get("events", ()))

    def run(self, number: int) -> RunRecord | None:
        """Return one run."""
        return next((one for one in self._shown_runs() if one.number == number), None) or super().run(number)

    def runs(self, *, unfinished: bool = False) -> list[RunRecord]:
        """Return the runs of history, oldest first."""
        return _with(super().runs(unfinished=unfinished), self._shown_runs(), unfinished=unfinished)

    def answer_to(self, request: int) -> tuple[str, dict[str, Any]]:
        """Return a request's state and the answer to it."""
        if (shown := self._board().get("answers", {}).get(str(request))) is not None:
            answer, refused = shown
            return ("refused" if refused else "done"), answer
        return super().answer_to(request)

    def _shown_runs(self) -> list[RunRecord]:
        return [record_from(one) for one in self._board().get("runs", ())]

    def _board(self) -> dict[str, Any]:
        pid = super().facts().get("supervisor_pid")
        return read_board(pid, self.path) if pid else {}


def _with(written: list[RunRecord], newer: Iterable[RunRecord], *, unfinished: bool) -> list[RunRecord]:
    """Return runs, oldest first, where some are known better than what was written of them."""
    found = {record.number: record for record in (*written, *newer)}
    kept = [record for record in found.values() if not unfinished or record.phase is not Phase.FINISHED]
    return sorted(kept, key=lambda record: record.number)
