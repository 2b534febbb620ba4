"""``flowerbed audit`` of a real federation: nothing to say of it as `up` leaves it, and what others did to it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kubernetes.beds import ClusterBed, Make

pytestmark = [pytest.mark.flower, pytest.mark.timeout(600)]

NOTES = {"image-unpinned"}


def findings(bed: ClusterBed) -> dict[str, str]:
    said = bed("audit", "--fail-on", "never")
    assert said.status == 0, (said.lines[-1:], said.errors)
    return {line["id"]: line["message"] for line in said.lines if line["type"] == "finding" and line["id"] not in NOTES}


def test_what_others_did_to_a_federation_is_found(cluster_bed: Make) -> None:
    bed = cluster_bed("slow")
    bed.write("1.42.0")
    refused = bed("audit")
    assert (refused.status, refused.lines[-1]["error"]) == (1, "NotRunning")
    assert bed("up").status == 0
    assert findings(bed) == {}
    assert bed("run", "--run-config", "num-server-rounds=1").last("run")["verdict"] == "succeeded"
    assert findings(bed) == {}

    bed.kubectl("delete", "networkpolicy", "test-superlink", "test.default-deny")
    bed.kubectl("scale", "statefulset", "test-site", "--replicas", "1")
    pod: dict[str, Any] = json.loads(bed.kubectl("get", "pod", "test-superlink-0", "--output", "json"))
    spec = {**pod["spec"], "nodeName": None, "nodeSelector": {"nowhere.example.org": "yes"}, "volumes": []}
    spec["containers"] = [{**one, "volumeMounts": []} for one in spec["containers"]]
    forged = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "forged", "labels": pod["metadata"]["labels"]},
        "spec": spec,
    }
    bed.cluster.kubectl("--namespace", bed.namespace, "create", "--filename", "-", input=json.dumps(forged))
    assert set(findings(bed)) == {
        "access-open",
        "object-missing",
        "object-differs",
        "object-set-by-others",
        "pod-strange",
    }
    bed.kubectl("delete", "pod", "forged")
    assert bed("up", "--force-conflicts").status == 0
    assert set(findings(bed)) <= {"object-set-by-others"}
