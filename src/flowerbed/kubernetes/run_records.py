"""Runs as ConfigMaps: the number that a user types, and what is known of the run, kept where the federation lives.

Numbers are given by creating ``FEDERATION-run-N``: the API server lets only one win. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from flowerbed.kubernetes import labels
from flowerbed.runs.records import Phase, RunRecord, record_from

DETAIL_CHARACTERS = 100_000
"""Of a traceback at most: a ConfigMap holds 1 MiB."""

SUBMITTED_AFTER_SECONDS = 900.0
"""A run that is being submitted for longer has lost its command, and has long come to the SuperLink or never will."""
CLOCK_SECONDS = 120.0
"""How far the cluster's clock may be from ours."""

RECORD, ASIDE = "run.json", "aside.json"


@dataclass(frozen=True)
class Kept:
    """What is kept of a run.

    Parameters
    ----------
    record : RunRecord
        What is known of it.
    timeout : float or None
        Seconds from submission that it was given.
    serverapp : str
        The incarnation of the SuperExec that its ServerApp runs below; another one has lost it.
    stop_asked : bool
        Whether any command asked to stop it; an annotation, as `done_meanwhile` is, so that no follower overwrites it.
    done_meanwhile : tuple of str
        What Flowerbed did to the federation while it went on.
    """

    record: RunRecord
    timeout: float | None = None
    serverapp: str = ""
    stop_asked: bool = False
    done_meanwhile: tuple[str, ...] = ()


def object_name(federation: str, number: int) -> str:
    """Return the name of a run's record, and of its Job."""
    return f"{federation}-run-{number}"


def next_number(kept: Iterable[Kept]) -> int:
    """Return the number after all that were given."""
    return max((item.record.number for item in kept), default=0) + 1


def without_doubles(kept: Iterable[Kept]) -> list[Kept]:
    """Return runs in their order; of two that took the same foreign run into history only the first."""
    seen: set[str] = set()
    found = []
    for item in kept:
        if item.record.flower_id is None or item.record.flower_id not in seen:
            found.append(item)
            seen.add(item.record.flower_id or "")
    return found


def may_be_submitting(kept: Iterable[Kept], pending_at: float, now: float) -> bool:
    """Tell whether a run that the SuperLink took at a time may be one of ours that a command is still submitting."""
    return any(
        item.record.phase is Phase.SUBMITTING
        and item.record.flower_id is None
        and now - (item.record.submitted_at or 0.0) < SUBMITTED_AFTER_SECONDS
        and pending_at > (item.record.submitted_at or 0.0) - CLOCK_SECONDS
        for item in kept
    )


def to_object(federation: str, namespace: str, kept: Kept) -> dict[str, Any]:
    """Return the ConfigMap of a run."""
    record = replace(kept.record, detail=kept.record.detail[-DETAIL_CHARACTERS:])
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": object_name(federation, record.number),
            "namespace": namespace,
            "labels": {**run_labels(federation, record.number), labels.FEDERATION: federation},
        },
        "data": {
            RECORD: json.dumps(asdict(record), indent=1, default=str),
            ASIDE: json.dumps({"timeout": kept.timeout, "serverapp": kept.serverapp}),
        },
    }


def run_labels(federation: str, number: int) -> dict[str, str]:
    """Return the labels of what belongs to a run."""
    return {
        labels.NAME: "flower",
        labels.INSTANCE: federation,
        labels.PART_OF: federation,
        labels.MANAGED_BY: labels.MANAGER,
        labels.RUN: str(number),
    }


def from_objects(items: Iterable[Mapping[str, Any]]) -> list[Kept]:
    """Return the runs that some ConfigMaps hold, oldest first; others are passed over."""
    found = []
    for item in items:
        data = item.get("data") or {}
        try:
            aside = json.loads(data[ASIDE])
            record = record_from(json.loads(data[RECORD]))
        except (KeyError, ValueError, TypeError):
            continue
        said = (item.get("metadata") or {}).get("annotations") or {}
        done = tuple(said.get(labels.MEANWHILE, "").splitlines())
        found.append(Kept(record, aside.get("timeout"), aside.get("serverapp", ""), labels.STOP_ASKED in said, done))
    return sorted(found, key=lambda kept: kept.record.number)
