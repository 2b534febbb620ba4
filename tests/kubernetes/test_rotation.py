"""Another authority and other secrets in a cluster: what is made, who is started again for it, and when."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from flowerbed.flower.releases import find
from flowerbed.kubernetes import labels, trusting
from flowerbed.kubernetes import living as looking
from flowerbed.kubernetes.living import Living
from flowerbed.kubernetes.manifests.identity import Identity
from flowerbed.kubernetes.manifests.objects import objects
from flowerbed.kubernetes.trusting import Trusts
from flowerbed.topology.model import Role
from flowerbed.trust import certificates, seen
from kubernetes.federations import SMALL, Object, federation, named

NOW = datetime(2030, 1, 1, tzinfo=UTC)
ROW = find("1.42")
FEDERATION = federation(SMALL)
IDENTITY = Identity.of(FEDERATION, ROW, "ns")
ALL = {Role.SUPERLINK, Role.SERVERAPP_SUPEREXEC, Role.SUPERNODE}
"""The SuperLink's Pod too: its proxy asks callers of Control for certificates by the authority."""


class Kept:
    """The Secrets and ConfigMaps that were applied, and so a namespace."""

    def __init__(self, more: str = "") -> None:
        self.items: dict[str, Object] = {}
        self.federation = federation(SMALL + more)

    def apply(self, wanted: Iterable[Object]) -> None:
        self.items |= {named(item): item for item in wanted}

    def find(self, secret: str) -> Object | None:
        return self.items.get(f"Secret/{secret}")

    def trusts(self, *, now: datetime = NOW, authority: bool = False, secret: bool = False) -> Trusts:
        return trusting.wanted(
            self.federation,
            IDENTITY,
            self.find,
            now=now,
            random=secrets.token_bytes,
            new_authority=authority,
            new_secret=secret,
        )

    def up(self) -> Trusts:
        made = self.trusts()
        self.apply(trusting.objects(made, ROW, IDENTITY))
        return made

    def secret(self, name: str, key: str) -> bytes:
        return base64.b64decode(self.items[f"Secret/{name}"]["data"][key])

    def trusted(self) -> list[bytes]:
        return certificates.split(self.items["ConfigMap/demo-authority"]["data"]["ca.crt"].encode())


@pytest.fixture
def kept() -> Kept:
    there = Kept()
    there.up()
    return there


def test_another_authority_takes_over_and_both_are_trusted_until_the_one_before_retires(kept: Kept) -> None:
    [old] = kept.trusted()
    assert kept.trusts().authority.certificate == old

    made = kept.trusts(authority=True)
    kept.apply(trusting.objects(made, ROW, IDENTITY))

    new, before = kept.trusted()
    assert (before, new == old) == (old, False)
    for secret in ("demo-superlink-tls", "demo-supernode"):
        leaf, handover = certificates.split(kept.secret(secret, "tls.crt"))
        assert certificates.signed_by(leaf, new, secret)
        assert certificates.signed_by(handover, old, secret)
        assert certificates.same_key(handover, new, secret)
    caller, handover = certificates.split(kept.secret("demo-control-client", "tls.crt"))
    assert certificates.signed_by(caller, new, "caller")
    assert certificates.same_key(handover, new, "caller")
    assert certificates.split(kept.secret("demo-superlink-tls", "ca.crt")) == [new, old]
    assert [one.name for one in trusting.shown(made, "demo")] == [
        "ca",
        seen.BEFORE,
        "superlink",
        "loopback",
        "control-client",
    ]
    assert kept.trusts() == kept.trusts(authority=True) == made  # one at a time, and nothing is made twice

    kept.apply(trusting.objects(trusting.retired(made), ROW, IDENTITY))

    assert kept.trusted() == [new]
    assert "before.crt" not in kept.items["Secret/demo-authority"]["data"]
    assert kept.trusts() == trusting.retired(made)


def test_a_change_that_was_killed_between_two_objects_is_completed_by_the_next_up() -> None:
    reference = Kept()
    reference.up()
    steps = trusting.objects(reference.trusts(authority=True), ROW, IDENTITY)
    for number in range(1, len(steps)):
        there = Kept()
        there.items = dict(reference.items)
        there.apply(steps[:number])
        made = there.up()
        new, old = there.trusted()
        assert [old] == reference.trusted()
        assert made.authority == authority_of(steps)
        for secret in ("demo-superlink-tls", "demo-supernode"):
            leaf, handover = certificates.split(there.secret(secret, "tls.crt"))
            assert certificates.signed_by(leaf, new, secret)
            assert certificates.same_key(handover, new, secret)


def authority_of(steps: list[Object]) -> certificates.Issued:
    there = Kept()
    there.apply(steps)
    return there.trusts().authority


def test_an_authority_is_replaced_when_a_third_of_its_time_is_left(kept: Kept) -> None:
    assert kept.trusts(now=NOW + timedelta(days=2400)).before == b""
    late = kept.trusts(now=NOW + timedelta(days=2450))
    assert [late.before] == kept.trusted()
    assert certificates.describe(late.authority.certificate, "").not_after == NOW + timedelta(days=2450 + 3650)


def test_who_reads_something_else_is_started_again_for_it(kept: Kept) -> None:
    before = trusting.versions(kept.trusts())
    assert trusting.versions(kept.trusts()) == before
    authority = trusting.versions(kept.trusts(authority=True))
    assert {role for role in before if before[role] != authority[role]} == ALL
    secret = trusting.versions(kept.trusts(secret=True))
    assert {role for role in before if before[role] != secret[role]} == ALL
    made = kept.trusts(authority=True)
    both, one = trusting.versions(made), trusting.versions(trusting.retired(made))
    assert {role for role in both if both[role] != one[role]} == ALL


def test_where_control_is_open_the_superlinks_pod_trusts_nobody_and_stays() -> None:
    there = Kept("  security: {controlApi: Open}\n")
    there.up()
    before, after = trusting.versions(there.trusts()), trusting.versions(there.trusts(authority=True))
    assert {role for role in before if before[role] != after[role]} == ALL - {Role.SUPERLINK}


def test_a_run_that_goes_on_is_spared_and_the_authority_before_stays_until_all_have_the_new_one(kept: Kept) -> None:
    first = trusting.versions(kept.trusts())
    there = living(wanted(first, living([]), run=None))
    assert versions_of(there) == first
    assert trusting.all_have(first, there)

    second = trusting.versions(kept.trusts(authority=True))
    assert not trusting.all_have(second, there)
    spared = living(wanted(second, there, run=1))
    assert versions_of(spared) == first

    afterwards = living(wanted(second, spared, run=None))
    assert versions_of(afterwards) == second
    assert trusting.all_have(second, afterwards)


def test_a_workload_that_is_new_is_never_spared(kept: Kept) -> None:
    first = trusting.versions(kept.trusts())
    assert versions_of(living(wanted(first, living([]), run=1))) == first


def test_a_workload_of_before_there_were_versions_is_not_started_again_while_a_run_goes_on(kept: Kept) -> None:
    first = trusting.versions(kept.trusts())
    plain = living(objects(FEDERATION, ROW))
    assert versions_of(living(wanted(first, plain, run=1))) == dict.fromkeys(first)
    assert versions_of(living(wanted(first, plain, run=None))) == first


def wanted(versions: dict[Role, str], there: Living, *, run: int | None) -> list[Object]:
    return trusting.with_versions(objects(FEDERATION, ROW), versions, there, lambda: run)


def living(made: list[Object]) -> Living:
    return looking.read("demo", "ns", [item for item in made if item["kind"] in ("StatefulSet", "Deployment")], [])


def versions_of(there: Living) -> dict[Role, str | None]:
    return {
        Role(looking.label(item, labels.COMPONENT)): (
            item["spec"]["template"]["metadata"].get("annotations") or {}
        ).get(labels.TRUST)
        for item in there.workloads
    }
