"""Runs that somebody else submitted to the SuperLink, such as `flwr run`, and their first record. Pure."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any

from flowerbed.runs.records import Phase, RunRecord

SUBMITTER = "`flwr run` or another client of Flower's"
"""Who submits such runs, for messages."""

BEFORE = "it ran before the federation was started again"
"""How the ServerApp of such a run was lost that nobody had seen before a restart, as a clause."""


def unknown(listed: Iterable[Mapping[str, Any]], known: Container[str]) -> list[RunRecord]:
    """Return the runs that a SuperLink lists and history does not know, oldest first, as records without a number."""
    return [
        RunRecord(
            number=0,
            flower_id=str(found["run"]),
            app=str(found.get("app") or "an app without a name"),
            phase=Phase.PENDING,
            config=dict(found.get("config") or {}),
            submitted_at=found.get("pending_at"),
            foreign=True,
        )
        for found in listed
        if found["run"] not in known
    ]


def was_running(found: Mapping[str, Any], at: float) -> bool:
    """Tell whether a run that is listed had begun before a time, and has not finished."""
    began = found.get("starting_at") or found.get("running_at")
    return found["status"] in (Phase.STARTING, Phase.RUNNING) and began is not None and began < at
