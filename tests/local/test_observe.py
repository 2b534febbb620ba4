"""What is told of a federation's readiness: that it comes, that it goes, and that it comes again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from flowerbed.local.layout import StateFolder
from flowerbed.local.notes import Notes
from flowerbed.local.observe import Observer
from flowerbed.local.plan import Plan
from flowerbed.local.store import Store
from flowerbed.runs.readiness import Readiness


def test_the_going_is_told_too(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    told: list[tuple[Any, ...]] = []
    observer = Observer(folder, Notes(Store(folder.database, create=True)), lambda *event: told.append(event))
    plan = cast(Plan, SimpleNamespace(federation="demo"))
    for online in (1, 2, 2, 1, 1, 2):
        observer._write(plan, {}, Readiness(online, 2, 3, 3, ever_ready=bool(told)))
    assert told == [
        ("ready", "demo", "2 of 2 SuperNodes online, 3 of 3 SuperExecs connected"),
        ("degraded", "demo", "is not ready any more: 1 of 2 SuperNodes online, 3 of 3 SuperExecs connected"),
        ("ready", "demo", "2 of 2 SuperNodes online, 3 of 3 SuperExecs connected"),
    ]


def test_what_was_seen_of_the_plan_before_makes_no_new_one_ready(tmp_path: Path) -> None:
    """`up` after a change would be told so while the programs of before end."""
    folder = StateFolder(tmp_path)
    folder.superlink_answered.touch()
    notes = Notes(Store(folder.database, create=True))
    told: list[tuple[Any, ...]] = []
    observer = Observer(folder, notes, lambda *event: told.append(event))

    def plan(release: str) -> Plan:
        return cast(Plan, SimpleNamespace(federation="demo", release=release, external=[], count=lambda *_: 0))

    class SuperLink:
        async def ask(self, op: str, **_: object) -> list[Any]:
            observer.begin(plan("1.42.0"))  # `up` comes while it answers
            return []

    observer.begin(plan("1.22.0"))
    assert not asyncio.run(observer.look(plan("1.22.0"), {}, cast(Any, SuperLink())))
    with Store(folder.database) as written:
        assert (written.facts()["state"], written.facts()["release"], told) == ("starting", "1.42.0", [])
