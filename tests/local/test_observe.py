"""What is told of a federation's readiness: that it comes, that it goes, and that it comes again."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from flowerbed.local.layout import StateFolder
from flowerbed.local.observe import Observer
from flowerbed.local.plan import Plan
from flowerbed.local.store import Store
from flowerbed.runs.readiness import Readiness


def test_the_going_is_told_too(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    told: list[tuple[Any, ...]] = []
    observer = Observer(folder, Store(folder.database, create=True), lambda *event: told.append(event))
    plan = cast(Plan, SimpleNamespace(federation="demo"))
    for online in (1, 2, 2, 1, 1, 2):
        observer._write(plan, {}, Readiness(online, 2, 3, 3, ever_ready=bool(told)))
    assert told == [
        ("ready", "demo", "2 of 2 SuperNodes online, 3 of 3 SuperExecs connected"),
        ("degraded", "demo", "is not ready any more: 1 of 2 SuperNodes online, 3 of 3 SuperExecs connected"),
        ("ready", "demo", "2 of 2 SuperNodes online, 3 of 3 SuperExecs connected"),
    ]
