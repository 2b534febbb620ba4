"""``flowerbed audit --on kubernetes``: nothing is said of a federation as it should be, and each check of one thing."""

# ruff: noqa: E501 (tables have one case on a line)

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flowerbed.flower.releases import DEFAULT
from flowerbed.kubernetes.audit.checks import CHECKS
from flowerbed.kubernetes.audit.lived import LIVED_CHECKS, Lasting, Lived
from flowerbed.kubernetes.audit.model import Check, audit
from flowerbed.kubernetes.drift import differences, set_by_others
from flowerbed.kubernetes.opening import open_file
from kubernetes.test_audit import clean

Object = dict[str, Any]

NOW = datetime(2026, 6, 1, tzinfo=UTC)
GOOD = Lasting("the SuperLink", "secret/demo-superlink-tls", NOW - timedelta(days=10), NOW + timedelta(days=80))


def as_served(item: Object) -> Object:
    """Return an object roughly as an API server gives it back: with defaults, and with numbers its own way."""
    served = copy.deepcopy(item)
    served["metadata"] |= {"uid": "u", "resourceVersion": "7", "managedFields": [manager("flowerbed", "f:spec")]}
    spec = served.get("spec", {})
    pod = spec.get("template", {}).get("spec")
    if pod is not None:
        spec["revisionHistoryLimit"] = 10
        pod |= {"dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler"}
        for container in pod["containers"]:
            container["terminationMessagePath"] = "/dev/termination-log"
            memory = container["resources"]["requests"]["memory"]
            container["resources"]["requests"]["memory"] = {"512Mi": "0.5Gi", "256Mi": "262144Ki"}.get(memory, memory)
    for port in spec.get("ports", []):
        port["protocol"] = "TCP"
    return served


def manager(name: str, *fields: str) -> Object:
    return {"manager": name, "operation": "Apply", "fieldsV1": {key: {} for key in fields}}


def pod_of(workload: Object, *, owner: bool = True) -> Object:
    kind = "StatefulSet" if workload["kind"] == "StatefulSet" else "ReplicaSet"
    name = workload["metadata"]["name"] + ("" if kind == "StatefulSet" else "-5d4f")
    meta = {"name": f"{name}-0", "labels": workload["spec"]["template"]["metadata"]["labels"]}
    if owner:
        meta["ownerReferences"] = [{"kind": kind, "name": name, "controller": True}]
    return {"kind": "Pod", "metadata": meta}


@pytest.fixture
def there(tmp_path: Path) -> Lived:
    """A federation as it should be."""
    (tmp_path / "federation.yaml").write_text(clean())
    found = open_file(tmp_path)
    wanted = [item for item in found.objects(DEFAULT, "research") if item["kind"] != "Namespace"]
    living = [as_served(item) for item in wanted]
    pods = [pod_of(item) for item in living if "template" in item.get("spec", {})]
    return Lived(
        found.federation,
        DEFAULT,
        tuple(living),
        "research",
        wanted=tuple(wanted),
        living={(item["kind"], item["metadata"]["name"]): item for item in living},
        labelled=(*living, *pods),
        certificates=(GOOD,),
        now=NOW,
    )


def found(there: Lived) -> dict[str, list[str]]:
    checks: list[Check[Any]] = [*CHECKS, *LIVED_CHECKS]
    said: dict[str, list[str]] = {}
    for result in audit(checks, there):
        assert result.finding.hint
        said.setdefault(result.check.id, []).append(result.finding.message)
    return said


def test_nothing_is_said_of_a_federation_as_it_should_be(there: Lived) -> None:
    assert found(there) == {}


def without(there: Lived, kind: str, name: str) -> Lived:
    living = {key: item for key, item in (there.living or {}).items() if key != (kind, name)}
    objects = tuple(item for item in there.objects if (item["kind"], item["metadata"]["name"]) != (kind, name))
    return replace(there, living=living, objects=objects)


def test_a_policy_that_was_deleted_lets_strangers_in(there: Lived) -> None:
    gone = without(without(there, "NetworkPolicy", "demo-superlink"), "NetworkPolicy", "demo.default-deny")
    said = found(gone)
    assert said["object-missing"] == [
        "NetworkPolicy demo-superlink is not there",
        "NetworkPolicy demo.default-deny is not there",
    ]
    assert said["access-open"] == ["every Pod of the cluster reaches the SuperLink at ports 8000, 9091, 9093"]


def test_a_policy_of_somebody_elses_lets_strangers_in(there: Lived) -> None:
    foreign = {
        "kind": "NetworkPolicy",
        "metadata": {"name": "everybody", "namespace": "research"},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}]},
    }
    said = found(replace(there, objects=(*there.objects, foreign)))
    assert list(said) == ["access-open"]


def changed(there: Lived, kind: str, name: str, change: Callable[[Object], None]) -> Lived:
    living = copy.deepcopy(there.living or {})
    change(living[kind, name])
    return replace(there, living=living)


def test_what_differs_is_named(there: Lived) -> None:
    def change(item: Object) -> None:
        item["spec"]["replicas"] = 5
        item["spec"]["template"]["spec"]["containers"][0]["image"] = "evil/app:1"

    said = found(changed(there, "StatefulSet", "demo-site", change))
    fields = "spec.replicas, spec.template.spec.containers[0].image"
    assert said == {"object-differs": [f"StatefulSet demo-site is not as the file says: {fields}"]}


def test_who_else_sets_fields_is_named(there: Lived) -> None:
    def change(item: Object) -> None:
        item["metadata"]["managedFields"] += [
            manager("kubectl-edit", "f:spec"),
            manager("kube-controller-manager", "f:metadata"),
            {**manager("somebody", "f:spec"), "subresource": "status"},
            {**manager("kubectl", "f:spec"), "subresource": "scale"},
        ]

    said = found(changed(there, "Service", "demo-superlink", change))
    assert said == {
        "object-set-by-others": [
            f"{who} has set fields of Service demo-superlink beside Flowerbed: spec"
            for who in ("kubectl-edit", "kubectl")
        ]
    }
    assert set_by_others({"metadata": {"managedFields": [manager("argocd", "f:spec")]}}) == {}


def test_what_has_our_labels_and_is_not_ours(there: Lived) -> None:
    labels = there.wanted[-1]["metadata"]["labels"]
    record = {"kind": "ConfigMap", "metadata": {"name": "demo-run-1", "labels": {**labels, "flowerbed.dev/run": "1"}}}
    service = {"kind": "Service", "metadata": {"name": "way-in", "labels": labels}}
    secret = {"kind": "Secret", "metadata": {"name": "demo-authority", "labels": labels}}
    kept = replace(
        there, labelled=(*there.labelled, record, service, secret), kept=frozenset({("Secret", "demo-authority")})
    )
    why = "Service way-in has the federation's labels, and the file knows nothing of it"
    assert found(kept) == {"object-strange": [why]}


def test_a_pod_that_passes_for_the_superlink(there: Lived) -> None:
    workload = next(
        item for item in there.wanted if item["metadata"]["name"] == "demo-superlink" and "template" in item["spec"]
    )
    forged = pod_of(workload, owner=False)
    forged["metadata"]["name"] = "forged"
    job = {
        "kind": "Pod",
        "metadata": {
            "name": "demo-run-1-x",
            "labels": {**forged["metadata"]["labels"], "flowerbed.dev/run": "1"},
            "ownerReferences": [{"kind": "Job", "name": "demo-run-1", "controller": True}],
        },
    }
    said = found(replace(there, labelled=(*there.labelled, forged, job)))
    assert list(said) == ["pod-strange"]
    assert (
        "Pod forged has the labels of a superlink of this federation and gets what is sent to the SuperLink"
        in said["pod-strange"][0]
    )


@pytest.mark.parametrize(
    ("days", "check", "why"),
    [
        (79, "certificate-ends", "the certificate of the SuperLink, in secret/demo-superlink-tls, ends on 2026-08-20, in 1 day"),
        (80, "certificate-ended", "the certificate of the SuperLink, in secret/demo-superlink-tls, ended on 2026-08-20"),
        (-11, "certificate-ended", "the certificate of the SuperLink, in secret/demo-superlink-tls, begins on 2026-05-22 only"),
    ],
)  # fmt: skip
def test_certificates(there: Lived, days: int, check: str, why: str) -> None:
    assert found(replace(there, now=NOW + timedelta(days=days))) == {check: [why]}
    assert found(replace(there, now=NOW + timedelta(days=60))) == {}


@pytest.mark.parametrize(
    ("wanted", "living", "fields"),
    [
        ({"spec": {"a": 1}}, {"spec": {"a": 1, "b": 2}, "status": {}}, []),
        ({"spec": {"a": {}}}, {"spec": {}}, []),
        ({"spec": {"a": [1, 2]}}, {"spec": {"a": [1]}}, ["spec.a"]),
        ({"spec": {"a": [{"b": 1}]}}, {"spec": {"a": [{"b": 2, "c": 3}]}}, ["spec.a[0].b"]),
        ({"spec": {"limits": {"cpu": "1"}}}, {"spec": {"limits": {"cpu": "1000m"}}}, []),
        ({"spec": {"limits": {"cpu": "1"}}}, {"spec": {"limits": {"cpu": "2"}}}, ["spec.limits.cpu"]),
        ({"spec": {"c": {"image": "a:1"}}}, {"spec": {"c": {"image": "a:1@sha256:0"}}}, []),
        ({"spec": {"c": {"image": "a:1"}}}, {"spec": {"c": {"image": "a:10"}}}, ["spec.c.image"]),
        ({"metadata": {"labels": {"a": "b"}}}, {"metadata": {"labels": {"a": "c", "x": "y"}}}, ["metadata.labels.a"]),
        ({"metadata": {"name": "x", "namespace": "n"}}, {"metadata": {"name": "x"}}, []),
        ({"data": {"a.py": "x"}}, {"data": {}}, ["data.a.py"]),
    ],
)  # fmt: skip
def test_what_counts_as_a_difference(wanted: Object, living: Object, fields: list[str]) -> None:
    assert differences(wanted, living) == fields
