"""Reads what the SuperLink's launcher counted of a run's messages: see `Counting` in the launcher for the files."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPLIES = "replies"
"""The folder beside the SuperLink's database with a file for each run."""


@dataclass
class _OfRun:
    """What was read of one run's file so far."""

    read: int = 0
    whole: bool = False
    lost: bool = False
    asked: dict[str, tuple[str, str]] = field(default_factory=dict)
    told: dict[str, str] = field(default_factory=dict)

    def take(self, line: dict[str, Any]) -> None:
        if "ask" in line:
            self.asked[line["ask"]] = (line["node"], line["kind"])
        elif "reply" in line:  # the first counts: it is what the ServerApp was given
            self.told.setdefault(line["reply"], line.get("error", ""))
        else:
            self.whole = self.whole or "run" in line
            self.lost = self.lost or "lost" in line


class Counted:
    """The counts of a SuperLink's runs; a file that has grown is read on from where it was.

    Parameters
    ----------
    database : Path
        The SuperLink's database.
    """

    def __init__(self, database: Path) -> None:
        self._folder = database.parent / REPLIES
        self._runs: dict[str, _OfRun] = {}
        self._lock = threading.Lock()

    def of(self, run: str) -> list[dict[str, Any]] | None:
        """Return ``node``, ``kind``, ``asked``, ``results``, ``failures`` and ``error`` for each SuperNode and kind.

        None means that nobody counted, or not all of it.
        """
        with self._lock:
            known = self._runs.setdefault(run, _OfRun())
            try:
                self._read_on(known, self._folder / run)
            except OSError:
                return None
            unknown = known.told.keys() - known.asked.keys()
            return None if known.lost or unknown or not known.whole else _rows(known)

    @staticmethod
    def _read_on(known: _OfRun, path: Path) -> None:
        with path.open("rb") as file:
            file.seek(known.read)
            fresh = file.read()
        fresh = fresh[: fresh.rfind(b"\n") + 1]  # a line that is being written is read next time
        known.read += len(fresh)
        for line in fresh.splitlines():
            try:
                known.take(json.loads(line))
            except (ValueError, KeyError, TypeError):
                known.lost = True


def _rows(known: _OfRun) -> list[dict[str, Any]]:
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for message, (node, kind) in known.asked.items():
        blank = {"node": node, "kind": kind, "asked": 0, "results": 0, "failures": 0, "error": ""}
        row = rows.setdefault((node, kind), blank)
        row["asked"] += 1
        if message in known.told:
            error = known.told[message]
            row["failures" if error else "results"] += 1
            row["error"] = row["error"] or error
    return list(rows.values())
