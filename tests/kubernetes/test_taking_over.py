"""What `up` applies and `down` removes where others manage a part; on a real API server: test_others_on_cluster."""

from __future__ import annotations

import copy
import os
import signal
from typing import Any

import pytest

from flowerbed.cli.interrupts import interruptible, until_interrupted
from flowerbed.errors import ClusterConflict, FederationFailed
from flowerbed.kubernetes import waiting
from flowerbed.kubernetes.applying import Applier
from flowerbed.kubernetes.belonging import Belongings
from flowerbed.kubernetes.labels import FEDERATION
from flowerbed.kubernetes.observing import Observer
from flowerbed.runs.runtime import Event
from kubernetes.federations import Object

HELM = {"meta.helm.sh/release-name": "study", "meta.helm.sh/release-namespace": "ns"}


class Fake:
    """An API server that knows objects by name, who applied them, and nothing more."""

    def __init__(self, *objects: Object) -> None:
        self.objects = {(item["kind"], item["metadata"]["name"]): item for item in objects}
        self.calls: list[tuple[str, str]] = []

    def get(self, kind: str, name: str, namespace: str | None = None) -> Object | None:
        return {"metadata": {}} if kind == "Namespace" else self.objects.get((kind, name))

    def listing(self, kind: str, namespace: str, *, labels: dict[str, str] | None = None) -> list[Object]:
        wanted = (labels or {}).items()
        found = [item for (of, _), item in self.objects.items() if of == kind]
        return [item for item in found if wanted <= item["metadata"].get("labels", {}).items()]

    def apply(self, item: Object, *, dry_run: bool = False, force: bool = False) -> Object:
        key = (item["kind"], item["metadata"]["name"])
        before = self.objects.get(key, {"metadata": {}})
        made = copy.deepcopy({**before, **item})
        labels = {**before["metadata"].get("labels", {}), **item["metadata"].get("labels", {})}
        made["metadata"] = {**before["metadata"], **item["metadata"], "labels": labels}
        if not dry_run:
            self.calls.append(("apply", key[1]))
            self.objects[key] = made
        return made

    def delete(self, kind: str, name: str, namespace: str | None = None) -> bool:
        self.calls.append(("delete", name))
        return self.objects.pop((kind, name), None) is not None


def config(name: str, value: str, *, by_helm: bool = False) -> Object:
    meta: Object = {"name": name, "labels": {FEDERATION: "fed"}}
    if by_helm:
        meta |= {"annotations": HELM, "managedFields": [{"manager": "helm", "operation": "Apply"}]}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"key": value}}


def applier(fake: Any) -> Applier:
    return Applier(fake, "fed", "ns", lambda _, __: None)


def test_what_somebody_else_manages_is_applied_by_them_alone() -> None:
    fake = Fake(config("fed-programs", "1", by_helm=True))
    assert applier(fake).apply([config("fed-programs", "1"), config("fed-nodes", "1")]) == ["ConfigMap fed-nodes"]
    assert fake.calls == [("apply", "fed-nodes")]


def test_nothing_at_all_is_done_where_the_file_says_otherwise() -> None:
    fake = Fake(config("fed-programs", "1", by_helm=True), config("fed-old", "1", by_helm=True))
    doing = applier(fake)
    with pytest.raises(ClusterConflict) as refused:
        doing.apply([config("fed-nodes", "1"), config("fed-programs", "2")])
    assert refused.value.conflicts == (("helm", ".data.key"), ("helm", ".metadata"))
    assert (fake.calls, doing.created) == ([], set())


def test_all_of_it_is_taken_over_by_force() -> None:
    fake = Fake(config("fed-programs", "1", by_helm=True), config("fed-old", "1", by_helm=True))
    doing = applier(fake)
    doing.apply([config("fed-programs", "2")], force=True)
    doing.prune()
    assert fake.calls == [("apply", "fed-programs"), ("delete", "fed-old")]


def test_what_pods_from_before_read_stays_until_there_are_none() -> None:
    """A workload goes at once; a Pod that is made again before it is replaced waits for no ConfigMap."""
    fake = Fake(config("fed-programs", "1"), config("fed-old", "1") | {"kind": "StatefulSet"})
    doing = applier(fake)
    surplus = ["StatefulSet fed-old", "ConfigMap fed-programs"]
    assert doing.apply([config("fed-programs-unit", "1")]) == ["ConfigMap fed-programs-unit", *surplus]
    assert fake.calls == [("apply", "fed-programs-unit"), ("delete", "fed-old")]
    doing.prune()
    doing.prune()
    assert fake.calls[2:] == [("delete", "fed-programs")]


def test_what_was_there_before_an_up_stays_when_it_is_taken_down() -> None:
    fake = Fake(config("fed-authority", "made by trust make"))
    doing = applier(fake)
    doing.apply([config("fed-authority", "made by trust make"), config("fed-programs", "1")])
    assert doing.created == {("ConfigMap", "fed-programs")}
    applier(fake).remove(volumes=False, only=doing.created)
    assert fake.calls[-1] == ("delete", "fed-programs")
    assert [name for _, name in fake.objects] == ["fed-authority"]


def test_who_removes_it_hears_that_helm_still_records_it() -> None:
    doing = applier(Fake(config("fed-programs", "1", by_helm=True)))
    doing.remove(volumes=False)
    assert [(who.said, who.after) for who in doing.others] == [
        ("Helm's release ns/study", "it is still recorded, and `helm uninstall study` ends that")
    ]


def pod(name: str, owner: str, **meta: Any) -> Object:
    owners = [{"uid": owner, "controller": True}]
    return {"kind": "Pod", "metadata": {"name": name, "ownerReferences": owners, **meta}, "spec": {}, "status": {}}


POOL = {"kind": "StatefulSet", "metadata": {"name": "fed-site", "uid": "before"}}


def wait(fake: Any, *there: Object) -> list[Event]:
    seen: list[Event] = []
    waiting.wait_until_gone(Observer(fake, "fed", "ns"), Belongings(statefulsets=there), seen.append)
    return seen


def test_pods_that_somebody_makes_again_are_not_waited_for() -> None:
    assert wait(Fake(pod("fed-site-0", "again", labels={FEDERATION: "fed"})), POOL) == []


def test_waiting_for_pods_that_stay_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "GONE_SECONDS", -1.0)
    with pytest.raises(FederationFailed, match="fed-site-0: not ended"):
        wait(Fake(pod("fed-site-0", "before")), POOL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_wait_that_does_not_ask_ends_with_ctrl_c(number: signal.Signals) -> None:
    with until_interrupted() as interrupted:
        with pytest.raises(KeyboardInterrupt), interruptible():
            os.kill(os.getpid(), number)
        assert interrupted() == 0
        os.kill(os.getpid(), number)
        assert interrupted() == 1
