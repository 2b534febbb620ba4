"""Showing a run: live while it goes on, then its rounds, its verdict, and where everything lies."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from flowerbed.cli.output import Output
from flowerbed.counting import counted
from flowerbed.runs import replied
from flowerbed.runs.foreign import SUBMITTER
from flowerbed.runs.history import HEADINGS, LEAST_NEEDED, LONG, last_metrics, row, seconds, state, submitted
from flowerbed.runs.records import Phase, Round, RunRecord
from flowerbed.runs.runtime import OFFLINE, ComponentStatus, Runtime
from flowerbed.runs.table import chosen_metrics, other_metrics, round_line, rows
from flowerbed.runs.table import number as shown_number

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
    shown_error = ""
    shown: tuple[Phase, str] | None = None
    after = runtime.last_event()
    with out.working(f"run {number}: submitted"):
        while True:
            record = runtime.run(number)
            done = [item for item in record.rounds if item.finished_at is not None]
            for count, item in enumerate(done[shown_rounds:], start=shown_rounds + 1):
                out.data("round", item)
                out.say(f"  {round_line(item, record.total_rounds, chosen_metrics(done[:count]))}")
            shown_rounds = max(shown_rounds, len(done))
            if shown_error != (error := _error_to_show(record, done)):
                shown_error = error
                out.say(f"    {error}")
            if record.phase is Phase.FINISHED:
                return record
            for event_number, event in runtime.events(after=after):
                after = event_number
                # A person sees in the run's own line what it waits for.
                if event.kind != "run" and (event.kind != "waiting" or out.as_json):
                    out.event(event)
            now = (record.phase, record.waits_for)
            if out.live and not stopping:
                out.step(f"run {number}: {_going_on(record)}")
            elif now != shown:
                shown = now
                out.step(f"run {number}: {_phase(record)}")
            if interrupted() and not stop:
                return record
            if interrupted() and not stopping:
                stopping = True
                out.step(f"run {number}: stopping; Ctrl-C again ends everything at once")
                runtime.stop(number)
            if interrupted() > 1:
                return record
            time.sleep(POLL_SECONDS)


def _phase(record: RunRecord) -> str:
    return f"{record.phase.value}, waits for {record.waits_for}" if record.waits_for else record.phase.value


def _going_on(record: RunRecord) -> str:
    """Return what a run does now, in one line."""
    if record.going_on is None:
        return _phase(record)
    line = round_line(record.going_on, record.total_rounds, chosen_metrics(record.rounds))
    return f"{line}  waits for {record.waits_for}" if record.waits_for else line


def show_run(out: Output, record: RunRecord, *, log: str) -> None:
    """Show a run as a whole: a table of its rounds, the verdict with its reason, and where the log is."""
    out.data("run", record)
    if record.rounds:
        out.say()
        headings, *body = rows(record.rounds)
        out.table(headings, body, least_needed=["seconds", *reversed(chosen_metrics(record.rounds)[1:])])
        _show_other_metrics(out, record)
    _show_replies(out, record)
    if record.detail:
        out.say()
        out.say(record.detail.rstrip())
    out.say()
    why = record.reason or (f"it waits for {record.waits_for}" if record.waits_for else "")
    out.say(f"Run {record.number} {state(record)}" + (f": {why}" if why else ""))
    out.say(f"  log        {log}")
    if record.results:
        out.say(f"  results    {record.results}")
    if record.flower_id:
        lasted = "" if (took := seconds(record)) is None else f", took {took:.1f} s"
        by = f" by {SUBMITTER}" if record.foreign else ""
        out.say(f"  submitted  {submitted(record)} UTC{by}{lasted}; Flower's id is {record.flower_id}")


def _error_to_show(record: RunRecord, done: Sequence[Round]) -> str:
    """Return the ClientApp's error once a round with failures is shown, or at once where the log tells no round."""
    failed = any(exchange.failures for one in done for exchange in one.exchanges)
    return record.client_error if failed or not record.rounds else ""


def _show_replies(out: Output, record: RunRecord) -> None:
    """Show what each SuperNode replied, where rounds do not tell it or some reply was an error."""
    replies = record.replies or ()
    if not replies or (record.rounds and not any(one.failures for one in replies)):
        return
    out.say()
    headings, *body = replied.rows(replies)
    out.table(headings, body, long=headings[-1])


def _show_other_metrics(out: Output, record: RunRecord) -> None:
    """Say the metrics that the table of a run's rounds has no room for, as last measured."""
    names = other_metrics(record.rounds)
    if not names:
        return
    out.say()
    count = counted(len(names), "more metric")
    out.say(f"{count}, as last measured (--json has those of every round):")
    for name in names:
        last = [one for one in record.rounds if name in one.metrics][-1]
        out.say(f"  {name} {shown_number(last.metrics[name], name)} (round {last.number})")


def show_runs(out: Output, records: Sequence[RunRecord], *, start: str) -> None:
    """Show the history of runs; where there is none, the command that starts one."""
    for record in records:
        out.data("run", record)
    if not records:
        out.say(f"There are no runs yet. Start one: {start}")
        return
    out.table(HEADINGS, [row(record) for record in records], long=LONG, least_needed=LEAST_NEEDED)
    if any("(+" in last_metrics(record) for record in records):
        out.say("(+N): so many more metrics; `flowerbed runs NUMBER` shows them.")
