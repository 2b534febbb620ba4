"""Runs as rows of a list. Only text, no drawing."""

from __future__ import annotations

from datetime import UTC, datetime

from flowerbed.counting import counted
from flowerbed.runs.records import RunRecord, Verdict
from flowerbed.runs.table import chosen_metrics, number

HEADINGS = ["RUN", "APP", "VERDICT", "ROUNDS", "LAST METRICS", "SUBMITTED (UTC)", "SECONDS", "FLOWER'S ID"]


LEAST_NEEDED = ("FLOWER'S ID", "SECONDS", "SUBMITTED (UTC)")
"""What a narrow terminal does without, in this order: `flowerbed runs N` says it too."""
LONG = "LAST METRICS"
"""The column whose cells go on in the next line where a terminal is narrow."""


def row(record: RunRecord) -> list[str]:
    """Return a run as a row under `HEADINGS`; times are UTC."""
    return [
        str(record.number),
        app(record),
        f"{state(record)}, waits" if record.waits_for else state(record),
        rounds(record),
        last_metrics(record) or "-",
        submitted(record),
        "-" if (lasted := seconds(record)) is None else f"{lasted:.1f}",
        record.flower_id or "-",
    ]


def app(record: RunRecord) -> str:
    """Return the app's name, and whether somebody else than Flowerbed submitted the run."""
    return f"{record.app} (foreign)" if record.foreign else record.app


def rounds(record: RunRecord) -> str:
    """Return how many rounds finished, of how many, and which one is going on: ``1/3 (2 goes on)``."""
    if not record.rounds:
        return "-"
    finished = str(len(record.finished_rounds)) + (f"/{record.total_rounds}" if record.total_rounds else "")
    return f"{finished} ({record.going_on.number} goes on)" if record.going_on else finished


def last_metrics(record: RunRecord) -> str:
    """Return the metrics of the last finished round that has some, as many as a line of the run shows."""
    told = [one for one in record.finished_rounds if one.metrics]
    if not told:
        return ""
    last, names = told[-1], chosen_metrics(record.rounds)
    shown = [f"{name}={number(last.metrics[name], name)}" for name in names if name in last.metrics]
    more = len(last.metrics) - len(shown)
    return " ".join([*shown, *([f"(+{more})"] if more else [])])


def submitted(record: RunRecord) -> str:
    """Return when a run was submitted, in UTC."""
    return "-" if record.submitted_at is None else f"{datetime.fromtimestamp(record.submitted_at, UTC):%F %T}"


def state(record: RunRecord) -> str:
    """Return the verdict, or the phase of a run that has none yet."""
    return record.verdict.value if record.verdict is not None else record.phase.value


def stopped(record: RunRecord, *, before: bool) -> str:
    """Say that a run is over after somebody asked to stop it; `before`: it was over already."""
    if record.verdict is Verdict.STOPPED:
        return f"Run {record.number} {'was already' if before else 'is'} stopped."
    return f"Run {record.number} had already finished: {state(record)}."


def seconds(record: RunRecord) -> float | None:
    """Return how long a finished run took from submission, in seconds."""
    if record.submitted_at is None or record.finished_at is None:
        return None
    return max(0.0, record.finished_at - record.submitted_at)


def line(record: RunRecord) -> str:
    """Return a run in one line."""
    words = [state(record)]
    if record.rounds:
        all_of_them = counted(record.total_rounds, "round") if record.total_rounds else "? rounds"
        words.append(f"{len(record.finished_rounds)} of {all_of_them} finished")
    if record.going_on:
        words.append(f"round {record.going_on.number} goes on")
    if record.waits_for:
        words.append(f"waits for {record.waits_for}")
    return f"run {record.number}: {', '.join(words)} ({record.app}{', foreign' if record.foreign else ''})"
