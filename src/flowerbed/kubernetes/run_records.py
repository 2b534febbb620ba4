"""Runs as ConfigMaps: the number that a user types, and what is known of the run, kept where the federation lives.

Numbers are given by creating ``FEDERATION-run-N``: the API server lets only one win. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from flowerbed.kubernetes import labels
from flowerbed.runs.records import RunRecord, record_from

DETAIL_CHARACTERS = 100_000
"""Of a traceback at most: a ConfigMap holds 1 MiB."""

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
    """

    record: RunRecord
    timeout: float | None = None
    serverapp: str = ""


def object_name(federation: str, number: int) -> str:
    """Return the name of a run's record, and of its Job."""
    return f"{federation}-run-{number}"


def next_number(kept: Iterable[Kept]) -> int:
    """Return the number after all that were given."""
    return max((item.record.number for item in kept), default=0) + 1


def to_object(federation: str, namespace: str, kept: Kept) -> dict[str, Any]:
    """Return the ConfigMap of a run."""
    record = replace(kept.record, detail=kept.record.detail[-DETAIL_CHARACTERS:])
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": object_name(federation, record.number),
            "namespace": namespace,
            "labels": run_labels(federation, record.number),
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
        found.append(Kept(record, aside.get("timeout"), aside.get("serverapp", "")))
    return sorted(found, key=lambda kept: kept.record.number)
