"""A real federation whose SuperLink's certificate somebody else keeps, and what happens when that changes."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cluster import Cluster
from flowerbed.kubernetes.manifests.certificate import GROUP
from kubernetes.beds import ClusterBed, Make
from kubernetes.test_foreign_trust import CERTIFICATE_SCHEMA
from trust.someone import Someone

pytestmark = [pytest.mark.flower, pytest.mark.timeout(900)]

GIVEN = "  security: {tls: {mode: Secret, secretName: given}}"
ASKED = "  security: {tls: {mode: CertManager, issuerRef: {name: lab}}}"
NAMES = ("test-superlink", "127.0.0.1")


def apply(bed: ClusterBed, item: dict[str, Any]) -> None:
    bed.cluster.kubectl("--namespace", bed.namespace, "apply", "--filename", "-", input=json.dumps(item))


def put(bed: ClusterBed, root: Someone, names: tuple[str, ...] = NAMES, *, name: str = "given") -> None:
    leaf = Someone("leaf", root, server=True, names=names)
    data = {"tls.crt": leaf.pem, "tls.key": leaf.private, "ca.crt": root.pem}
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    apply(
        bed,
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name},
            "type": "kubernetes.io/tls",
            "data": encoded,
        },
    )


QUICK = ("--run-config", "seconds=0.0 num-server-rounds=1")


def superlink_restarts(bed: ClusterBed) -> int:
    path = 'jsonpath={.status.containerStatuses[?(@.name=="superlink")].restartCount}'
    return int(bed.kubectl("get", "pod", "test-superlink-0", "--output", path) or 0)


def test_it_is_checked_used_and_used_anew(cluster_bed: Make) -> None:
    bed = cluster_bed("slow")
    bed.write("1.42.0", more=GIVEN)
    root = Someone("Root", ca=True)

    refused = bed("up")
    assert refused.status == 1
    assert refused.error == "there is no such Secret"
    put(bed, root, ("elsewhere.example.org",))
    refused = bed("up")
    assert refused.error == "the certificate is not for 127.0.0.1, test-superlink"
    assert bed.pods() == {}

    put(bed, root)
    up = bed("up")
    assert up.status == 0, (up.lines[-1:], up.errors)
    assert bed("trust", "export").last("authority")["certificate"] == root.pem.decode()
    before = {line["name"]: line["fingerprint"] for line in bed("trust", "show").lines if line["type"] == "certificate"}
    assert bed("run", *QUICK).last("run")["verdict"] == "succeeded"

    others = {name: uid for name, uid in bed.pods().items() if "superlink" not in name}
    put(bed, root)
    bed.cluster.wait(lambda: superlink_restarts(bed) == 1, "the SuperLink to be started again", 240)
    after = {line["name"]: line["fingerprint"] for line in bed("trust", "show").lines if line["type"] == "certificate"}
    assert [name for name in before if before[name] != after[name]] == ["superlink"]
    assert bed("up").status == 0
    assert {name: uid for name, uid in bed.pods().items() if "superlink" not in name} == others
    assert bed("run", *QUICK).last("run")["verdict"] == "succeeded"


def structural(schema: Any) -> Any:
    """Return a JSON Schema as a CustomResourceDefinition may have it."""
    if isinstance(schema, list):
        return [structural(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: structural(value) for key, value in schema.items() if key != "const" and value is not False}
    return {"type": "string", **kept} if not kept or "enum" in kept else kept


def definition(kind: str, schema: dict[str, Any]) -> dict[str, Any]:
    plural = f"{kind.lower()}s"
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": {**schema, "properties": {**schema["properties"], "status": anything}}},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind},
            "versions": [version],
        },
    }


@pytest.fixture
def definitions(cluster: Cluster) -> Iterator[Callable[[], None]]:
    """Have the cluster know cert-manager's kinds, as far as they are used; there is no cert-manager behind them."""
    requests = {"type": "object", "properties": {"spec": {"type": "object"}}}
    made = [definition("Certificate", structural(CERTIFICATE_SCHEMA)), definition("CertificateRequest", requests)]

    def define() -> None:
        for item in made:
            cluster.kubectl("apply", "--filename", "-", input=json.dumps(item))
            cluster.kubectl("wait", "--for=condition=Established", f"crd/{item['metadata']['name']}", "--timeout=60s")

    yield define
    for item in made:
        cluster.kubectl("delete", "crd", item["metadata"]["name"], "--ignore-not-found")


def test_cert_manager_is_missed_asked_and_waited_for(cluster_bed: Make, definitions: Callable[[], None]) -> None:
    """The test itself stands for cert-manager: it looks at what it is asked for, and issues that."""
    bed = cluster_bed("slow")
    bed.write("1.42.0", more=ASKED)
    refused = bed("up")
    assert refused.status == 1
    assert refused.error.startswith("the cluster has no cert-manager")
    assert bed.pods() == {}

    definitions()
    shown = bed("up", "--dry-run")
    assert shown.status == 0, (shown.lines[-1:], shown.errors)
    assert "secretName: test-superlink-tls" in shown.last("diff")["diff"]

    waiting = bed.start("up")
    there = ("get", "certificate", "test-superlink-tls", "--ignore-not-found", "--output", "json")
    bed.cluster.wait(lambda: bed.kubectl(*there), "the Certificate to be there")
    spec = json.loads(bed.kubectl(*there))["spec"]
    put(bed, Someone("Root", ca=True), (*spec["dnsNames"], *spec["ipAddresses"]), name=spec["secretName"])
    ready = {"type": "Ready", "status": "True", "observedGeneration": 1, "reason": "Ready", "message": "issued"}
    status = json.dumps({"status": {"conditions": [ready]}})
    bed.kubectl("patch", "certificate", spec["secretName"], "--subresource=status", "--type=merge", "--patch", status)
    up = bed.finish(waiting)
    assert up.status == 0, up.lines[-1:]
    assert any("does cert-manager run?" in str(line.get("message")) for line in up.lines)
    assert up.last("status")["state"] == "ready"
    assert bed("down", "--volumes").status == 0
    assert bed.kubectl("get", "certificates", "--output", "name") == ""
