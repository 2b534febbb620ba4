"""Runs as rows of a list. Only text, no drawing."""

from __future__ import annotations

from datetime import UTC, datetime

from flowerbed.runs.records import RunRecord
from flowerbed.runs.table import chosen_metrics, number

HEADINGS = ["RUN", "APP", "VERDICT", "ROUNDS", "LAST METRICS", "SUBMITTED (UTC)", "SECONDS", "FLOWER'S ID"]


def row(record: RunRecord) -> list[str]:
    """Return a run as a row under `HEADINGS`; times are UTC."""
    rounds = str(len(record.rounds)) + (f"/{record.total_rounds}" if record.total_rounds else "")
    last = record.rounds[-1:]
    metrics = " ".join(f"{name}={number(last[0].metrics[name], name)}" for name in chosen_metrics(last)) if last else ""
    submitted = "-" if record.submitted_at is None else f"{datetime.fromtimestamp(record.submitted_at, UTC):%F %T}"
    return [
        str(record.number),
        record.app,
        state(record),
        rounds if record.rounds else "-",
        metrics or "-",
        submitted,
        "-" if (lasted := seconds(record)) is None else f"{lasted:.1f}",
        record.flower_id or "-",
    ]


def state(record: RunRecord) -> str:
    """Return the verdict, or the phase of a run that has none yet."""
    return record.verdict.value if record.verdict is not None else record.phase.value


def seconds(record: RunRecord) -> float | None:
    """Return how long a finished run took from submission, in seconds."""
    if record.submitted_at is None or record.finished_at is None:
        return None
    return max(0.0, record.finished_at - record.submitted_at)


def line(record: RunRecord) -> str:
    """Return a run in one line."""
    rounds = f", round {len(record.rounds)} of {record.total_rounds or '?'}" if record.rounds else ""
    return f"run {record.number}: {state(record)}{rounds} ({record.app})"
