"""Who is let in, when, and under which key; the SuperLink's answers are given by the test."""

from __future__ import annotations

import asyncio
import secrets
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from flowerbed.local import admission
from flowerbed.local.admission import Admissions
from flowerbed.local.client import ClientError
from flowerbed.local.layout import StateFolder
from flowerbed.local.plan import LISTED, REGISTERED, Plan
from flowerbed.trust.folder import TrustFolder
from flowerbed.trust.layout import public_keys

NOW = datetime.now(UTC)


@dataclass
class Answers:
    """Stands for the control client: notes what it is asked, and answers as the test says."""

    refusals: list[ClientError] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def ask(self, op: str, **arguments: Any) -> dict[str, Any]:
        self.asked.append({"op": op, **arguments})
        if self.refusals:
            raise self.refusals.pop(0)
        return {"dismissed": True, "gone": []}


class Around:
    """What a supervisor has, as far as admissions need it."""

    def __init__(self, folder: StateFolder, mode: str) -> None:
        self.folder = folder
        self.plan = Plan("test", "1.42.0", "/env", [], {}, "t", "r", "l", [], mode)
        self.client: Any = Answers()
        self.reports: list[str] = []

    def report(self, kind: str, subject: str, message: str) -> None:
        self.reports.append(f"{kind} {subject} {message}")


@pytest.fixture
def around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Around]:
    monkeypatch.setattr(admission, "RETRY_SECONDS", 0.01)

    def make(mode: str) -> Around:
        folder = StateFolder(tmp_path)
        folder.create()
        folder.superlink_answered.touch()
        TrustFolder(folder.trust.root).make_servers("test", (), now=NOW, random=secrets.token_bytes)
        TrustFolder(folder.trust.root).make_nodes(["site-0"], random=secrets.token_bytes)
        return Around(folder, mode)

    return make


def key(around: Around) -> str:
    return around.folder.trust.node_registered_key("site-0").read_text()


async def admit(admissions: Admissions, around: Around) -> None:
    """Start a SuperNode and wait until it is let in."""
    admissions.begin("site-0")
    assert not around.folder.admitted("site-0").exists()
    async with asyncio.timeout(10):
        while not around.folder.admitted("site-0").exists():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("mode", [LISTED, REGISTERED])
def test_a_supernode_is_let_in_under_the_key_that_it_has(around: Callable[[str], Around], mode: str) -> None:
    one = around(mode)
    asyncio.run(admit(Admissions(one), one))
    assert one.client.asked == [{"op": "admit", "key": key(one), "replaces": None}]
    assert one.reports == []


def test_where_keys_are_registered_a_second_start_gets_a_fresh_one(around: Callable[[str], Around]) -> None:
    one = around(REGISTERED)
    before = key(one)

    async def twice() -> None:
        admissions = Admissions(one)
        await admit(admissions, one)
        await admit(admissions, one)

    asyncio.run(twice())
    assert key(one) != before
    assert one.client.asked[1] == {"op": "admit", "key": key(one), "replaces": before}


def test_where_keys_are_listed_a_second_start_keeps_it(around: Callable[[str], Around]) -> None:
    one = around(LISTED)

    async def twice() -> None:
        admissions = Admissions(one)
        await admit(admissions, one)
        await admit(admissions, one)

    asyncio.run(twice())
    assert one.client.asked == [{"op": "admit", "key": key(one), "replaces": None}] * 2


def test_a_superlink_that_does_not_answer_is_asked_again_and_told_of_once(around: Callable[[str], Around]) -> None:
    one = around(REGISTERED)
    before = key(one)
    one.client.refusals = [ClientError("unavailable", "away")] * 3
    asyncio.run(admit(Admissions(one), one))
    assert len(one.client.asked) == 4
    assert key(one) == before
    assert one.reports == ["admission site-0 is not let in yet: away"]


def test_a_key_that_the_superlink_refuses_is_replaced(around: Callable[[str], Around]) -> None:
    one = around(REGISTERED)
    before = key(one)
    one.client.refusals = [ClientError("refused", "Public key already in use.")]
    asyncio.run(admit(Admissions(one), one))
    assert [asked["key"] for asked in one.client.asked] == [before, key(one)]
    assert key(one) != before


def test_one_that_was_revoked_is_not_let_in_and_the_superlink_hears_of_it(around: Callable[[str], Around]) -> None:
    one = around(REGISTERED)
    TrustFolder(one.folder.trust.root).revoke_node("site-0")
    one.client.refusals = [ClientError("unavailable", "away")]

    async def begin() -> None:
        admissions = Admissions(one)
        admissions.begin("site-0")
        await admissions.dismiss_all()

    asyncio.run(begin())
    assert one.client.asked == [{"op": "dismiss", "keys": [key(one)]}] * 2
    assert not one.folder.admitted("site-0").exists()


def test_the_superlink_hears_of_all_keys_of_one_elsewhere_and_of_those_that_are_no_more(
    around: Callable[[str], Around],
) -> None:
    one = around(LISTED)
    trust = TrustFolder(one.folder.trust.root)
    trust.make_nodes(["site-0"], random=secrets.token_bytes, external=["far-0", "gone-0"])
    gone = public_keys(trust.node_registered_key("gone-0").read_text())
    trust.make_nodes(["site-0"], random=secrets.token_bytes, external=["far-0"])
    one.plan = replace(one.plan, external=["far-0"])
    one.client.refusals = [ClientError("unavailable", "away")]
    wanted = public_keys(trust.node_registered_key("far-0").read_text())

    async def begin() -> None:
        admissions = Admissions(one)
        await admissions.dismiss_all()
        await admissions.admit_external()

    asyncio.run(begin())
    dismissed = [asked["keys"] for asked in one.client.asked if asked["op"] == "dismiss"]
    assert dismissed == [gone, gone]  # the first was not heard
    assert one.client.asked[-1] == {"op": "admit-all", "keys": wanted}


def test_keys_of_1_22_are_freed_while_somebody_is_elsewhere(
    around: Callable[[str], Around], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "_FREE_SECONDS", 0.01)
    one = around(LISTED)
    TrustFolder(one.folder.trust.root).make_nodes([], random=secrets.token_bytes, external=["far-0"])
    one.plan = replace(one.plan, external=["far-0"])

    async def begin() -> None:
        admissions = Admissions(one)
        admissions.begin_all()
        while sum(asked["op"] == "free" for asked in one.client.asked) < 2:
            await asyncio.sleep(0.01)
        admissions.close()

    asyncio.run(asyncio.wait_for(begin(), 30))
    assert [asked["op"] for asked in one.client.asked][:2] == ["admit-all", "free"]


def test_without_node_auth_nobody_waits(around: Callable[[str], Around]) -> None:
    one = around("")

    async def begin() -> None:
        Admissions(one).begin("site-0")
        await Admissions(one).dismiss_all()

    asyncio.run(begin())
    assert one.client.asked == []


def test_the_supervisor_needs_no_cryptography_until_a_supernode_is_started_again() -> None:
    script = "import sys, flowerbed.local.supervisor; print(sorted(n for n in sys.modules if n == 'cryptography'))"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
