"""`down` waits for the Pods of the federation, says what keeps one of them, and leaves others' alone."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from typing import Any

import pytest

from cluster import Cluster as RealCluster
from cluster.pods import create, pod
from flowerbed.kubernetes.applying import CREATED
from flowerbed.kubernetes.cluster import Cluster
from flowerbed.kubernetes.explain import pods
from flowerbed.kubernetes.labels import INSTANCE, MANAGED_BY, MANAGER
from flowerbed.kubernetes.runtime import KubernetesRuntime
from flowerbed.runs.runtime import Event

LABELS = {INSTANCE: "study", MANAGED_BY: MANAGER}


@pytest.fixture
def runtime(cluster: RealCluster, namespace: str, admin: Cluster) -> KubernetesRuntime:
    """Return a federation of which a ConfigMap is there."""
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "study-programs", "labels": LABELS}}
    create(cluster, namespace, made)
    return KubernetesRuntime(admin, "study", namespace)


def labelled(name: str, **spec: Any) -> dict[str, Any]:
    """Return a Pod that has a federation's labels."""
    made = pod(name, "sleep 1000", **spec)
    made["metadata"]["labels"] |= LABELS
    return made


def names(cluster: RealCluster, namespace: str, kind: str) -> list[str]:
    """Return the names of the objects of a kind."""
    return cluster.kubectl("-n", namespace, "get", kind, "-o", "jsonpath={.items[*].metadata.name}").split()


def namespaces(cluster: RealCluster) -> list[str]:
    """Return the names of all namespaces."""
    return cluster.kubectl("get", "namespaces", "-o", "jsonpath={.items[*].metadata.name}").split()


def test_a_pod_that_no_workload_made_is_left_alone(
    runtime: KubernetesRuntime, cluster: RealCluster, namespace: str
) -> None:
    create(cluster, namespace, labelled("a-copy-for-debugging"))
    seen: list[Event] = []
    assert runtime.down(watch=seen.append)
    assert "study-programs" not in names(cluster, namespace, "configmaps")
    assert names(cluster, namespace, "pods") == ["a-copy-for-debugging"]
    told = [event.message for event in seen if event.subject == "a-copy-for-debugging"]
    way = f"`kubectl delete pod -n {namespace} a-copy-for-debugging`"
    assert told == [f"it has this federation's labels, but no workload made it, so it stays; {way} ends it"]


def test_its_namespace_is_left_too(runtime: KubernetesRuntime, cluster: RealCluster, namespace: str) -> None:
    cluster.kubectl("annotate", "namespace", namespace, f"{CREATED}=by a test")
    create(cluster, namespace, labelled("a-copy-for-debugging"))
    runtime.down(volumes=True)
    assert names(cluster, namespace, "pods") == ["a-copy-for-debugging"]
    assert cluster.kubectl("get", "namespace", namespace, "-o", "jsonpath={.status.phase}") == "Active"
    cluster.kubectl("-n", namespace, "delete", "pod", "a-copy-for-debugging")
    runtime.down(volumes=True)
    cluster.wait(lambda: namespace not in namespaces(cluster), "the namespace is gone", 60)


def test_it_is_said_once_what_keeps_a_pod_and_then_it_is_waited_for(
    runtime: KubernetesRuntime, cluster: RealCluster, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pods, "STUCK", timedelta(0))
    template = labelled("held", restartPolicy="Always")
    metadata = {**template["metadata"], "finalizers": ["example.com/guard"]}
    workload = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "held", "labels": LABELS},
        "spec": {
            "selector": {"matchLabels": {"app": "held"}},
            "template": {"metadata": metadata, "spec": template["spec"]},
        },
    }
    create(cluster, namespace, workload)
    cluster.wait(lambda: len(names(cluster, namespace, "pods")) == 1, "the Pod is there", 30)
    seen: list[Event] = []
    going = threading.Thread(target=lambda: runtime.down(watch=seen.append))
    going.start()
    try:
        cluster.wait(lambda: any("example.com/guard" in event.message for event in seen), "it is said", 60)
        assert going.is_alive()
    finally:
        [held] = names(cluster, namespace, "pods")
        free = json.dumps({"metadata": {"finalizers": None}})
        cluster.kubectl("-n", namespace, "patch", "pod", held, "--type", "merge", "--patch", free)
        going.join(60)
    assert not going.is_alive()
    assert not names(cluster, namespace, "pods")
    told = [event.message for event in seen if event.subject == held]
    assert told == ["it is to go, but is held by example.com/guard. Whoever set the finalizer must remove it."]
    assert [event.message for event in seen if event.subject == "study"] == ["1 Pod is ending"]
