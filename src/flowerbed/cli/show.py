"""Showing a run: live while it goes on, then its rounds, its verdict, and where everything lies."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from flowerbed.cli.output import Output
from flowerbed.runs.history import HEADINGS, row, state
from flowerbed.runs.records import Phase, RunRecord
from flowerbed.runs.runtime import OFFLINE, ComponentStatus, Runtime
from flowerbed.runs.table import round_line, rows

POLL_SECONDS = 0.1


def say_who_is_away(out: Output, external: Iterable[ComponentStatus]) -> None:
    """Say which SuperNodes that run elsewhere are offline as a run begins: it goes on without them."""
    for component in external:
        if component.state == OFFLINE:
            out.say(f"{component.name}, which runs elsewhere, is offline; the run begins without it.")


def follow(out: Output, runtime: Runtime, number: int, *, interrupted: Callable[[], int], stop: bool) -> RunRecord:
    """Show a run's progress until it has its verdict, or until Ctrl-C; return it.

    Parameters
    ----------
    interrupted : callable
        How often Ctrl-C was typed.
    stop : bool
        Stop the run on Ctrl-C, instead of only looking away.
    """
    stopping = False
    shown_rounds = 0
    shown_phase: Phase | None = None
    after = runtime.last_event()
    with out.working(f"run {number}: submitted"):
        while True:
            record = runtime.run(number)
            done = [item for item in record.rounds if item.finished_at is not None]
            for item in done[shown_rounds:]:
                out.data("round", item)
                out.say(f"  {round_line(item, record.total_rounds)}")
            shown_rounds = max(shown_rounds, len(done))
            if record.phase is Phase.FINISHED:
                return record
            for event_number, event in runtime.events(after=after):
                after = event_number
                if event.kind != "run":
                    out.event(event)
            current = record.rounds[-1] if len(record.rounds) > len(done) else None
            if current is not None and out.live:
                out.step(f"run {number}: {round_line(current, record.total_rounds)}")
            elif record.phase is not shown_phase:
                shown_phase = record.phase
                out.step(f"run {number}: {record.phase.value}")
            if interrupted() and not stop:
                return record
            if interrupted() and not stopping:
                stopping = True
                out.step(f"run {number}: stopping; Ctrl-C again ends everything at once")
                runtime.stop(number)
            if interrupted() > 1:
                return record
            time.sleep(POLL_SECONDS)


def show_run(out: Output, record: RunRecord, *, log: str) -> None:
    """Show a run as a whole: a table of its rounds, the verdict with its reason, and where the log is."""
    out.data("run", record)
    if record.rounds:
        out.say()
        headings, *body = rows(record.rounds)
        out.table(headings, body)
    if record.detail:
        out.say()
        out.say(record.detail.rstrip())
    out.say()
    out.say(f"Run {record.number} {state(record)}" + (f": {record.reason}" if record.reason else ""))
    out.say(f"  log      {log}")
    if record.results:
        out.say(f"  results  {record.results}")


def show_runs(out: Output, records: Sequence[RunRecord], *, start: str) -> None:
    """Show the history of runs; where there is none, the command that starts one."""
    for record in records:
        out.data("run", record)
    if not records:
        out.say(f"There are no runs yet. Start one: {start}")
        return
    out.table(HEADINGS, [row(record) for record in records])


def show_results(out: Output, number: int, folder: Path, *, without: str = "") -> None:
    """Show what a run's ServerApp saved in a folder, there or not; a file of the name `without` is not part of it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != without)
    listed = [{"path": str(path), "bytes": path.stat().st_size} for path in files]
    out.data("results", {"run": number, "folder": str(folder), "files": listed})
    if not files:
        out.say(f"Run {number} saved nothing. A ServerApp saves what it writes to $FLOWERBED_RESULTS.")
        return
    out.say(str(folder))
    out.table(["FILE", "BYTES"], [[str(path.relative_to(folder)), str(path.stat().st_size)] for path in files])
