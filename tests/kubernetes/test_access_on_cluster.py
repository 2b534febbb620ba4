"""What a real API server refuses comes out as an error that says what to do, and the Role that it proposes will do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cluster import Cluster as RealCluster
from cluster import KubectlFailed
from cluster.pods import pod
from flowerbed.errors import (
    ClusterConflict,
    ClusterForbidden,
    ClusterImmutable,
    ClusterRefused,
    ClusterUnreachable,
)
from flowerbed.kubernetes import permissions
from flowerbed.kubernetes.cluster import API_VERSIONS, Cluster
from flowerbed.kubernetes.yaml_text import dump_all
from kubernetes.beds import Connect

Object = dict[str, Any]


@pytest.fixture
def ann(cluster: RealCluster, namespace: str, connect: Connect, tmp_path: Path) -> Cluster:
    """A user who may do nothing yet: a service account."""
    cluster.kubectl("-n", namespace, "create", "serviceaccount", "ann")
    return connect(kubeconfig_of(cluster, cluster.kubectl("-n", namespace, "create", "token", "ann").strip(), tmp_path))


def kubeconfig_of(cluster: RealCluster, token: str, folder: Path) -> Path:
    content = json.loads(cluster.kubeconfig.read_text(encoding="utf-8"))
    content["users"][0]["user"] = {"token": token}
    path = folder / "kubeconfig"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def allow(cluster: RealCluster, role: list[Object]) -> None:
    """Apply a role with its binding, and wait until the API server goes by it."""
    cluster.kubectl("apply", "-f", "-", input=dump_all(role))
    [subject], [rule, *_] = role[1]["subjects"], role[0]["rules"]
    user = f"--as=system:serviceaccount:{subject['namespace']}:{subject['name']}"
    asked = [rule["verbs"][0], rule["resources"][0], "-n", role[0]["metadata"].get("namespace", "default")]

    def is_known() -> bool:
        try:
            cluster.kubectl("auth", "can-i", *asked, user, "--quiet")
        except KubectlFailed:
            return False
        return True

    cluster.wait(is_known, "the role to be known")


def config_map(namespace: str, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": namespace}, "data": data}


def workload(kind: str, namespace: str, **more: Any) -> Object:
    """Return a workload without Pods."""
    container = {"name": "main", "image": "flwr/superexec:1.42.0"}
    template = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [container], "restartPolicy": "Always"}}
    selector = {"matchLabels": {"app": "a"}}
    return {
        "apiVersion": API_VERSIONS[kind],
        "kind": kind,
        "metadata": {"name": "a", "namespace": namespace},
        "spec": {"replicas": 0, "selector": selector, "template": template, **more},
    }


def applied(namespace: str) -> list[Object]:
    """Return an object of each kind that Flowerbed applies."""
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    meta = {"name": "a", "namespace": namespace}
    return [
        config_map(namespace, x="1"),
        {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"ports": [{"port": 80}]}},
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": spec},
        workload("StatefulSet", namespace, serviceName="a"),
        workload("Deployment", namespace),
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": meta,
            "spec": {"maxUnavailable": 0, "selector": {"matchLabels": {"app": "a"}}},
        },
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": meta,
            "spec": {"podSelector": {"matchLabels": {"app": "a"}}, "policyTypes": ["Ingress", "Egress"]},
        },
    ]


def test_the_role_that_a_refusal_proposes_is_enough(cluster: RealCluster, ann: Cluster, namespace: str) -> None:
    with pytest.raises(ClusterForbidden) as caught:
        ann.apply(config_map(namespace, x="1"))
    user = f"system:serviceaccount:{namespace}:ann"
    assert caught.value.message == (
        f"the user {user} may not patch configmaps in the namespace {namespace} (applying ConfigMap a)"
    )
    allow(cluster, caught.value.role)

    for item in applied(namespace):
        assert ann.apply(item, dry_run=True)
        assert ann.apply(item)
        assert ann.apply(item)
        assert ann.get(item["kind"], "a", namespace)
    for kind in API_VERSIONS:
        if kind != "Namespace":
            ann.listing(kind, namespace)
    assert ann.get("Namespace", namespace)

    spec = pod("a", "exit 0")["spec"]
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a", "namespace": namespace}}
    ann.create({**job, "spec": {"template": {"spec": spec}}})
    cluster.kubectl("-n", namespace, "create", "-f", "-", input=json.dumps(pod("b", "echo hello; sleep 1000")))
    cluster.kubectl("-n", namespace, "wait", "pod/b", "--for=condition=Ready", "--timeout=60s")
    assert list(ann.logs("b", namespace)) == ["hello"]
    with ann.stream("b", namespace, "main", ["echo", "hello"]) as stream:
        assert b"".join(stream.read()) == b"hello\n"
    for item in [*applied(namespace), job]:
        assert ann.delete(item["kind"], "a", namespace)


def test_the_role_allows_no_more(cluster: RealCluster, ann: Cluster, namespace: str) -> None:
    user = f"system:serviceaccount:{namespace}:ann"
    allow(cluster, permissions.role("flowerbed", namespace, user))
    listed = cluster.kubectl("auth", "can-i", "--list", "--no-headers", "-n", namespace, f"--as={user}")
    mine = {line.split()[0]: line for line in listed.splitlines() if "/api" not in line.split()[0]}
    everybodys = {"selfsubjectreviews.authentication.k8s.io"} | {
        f"selfsubject{what}reviews.authorization.k8s.io" for what in ("access", "rules")
    }
    known = {f"{rule.resource}.{rule.group}" if rule.group else rule.resource for rule in permissions.RULES}
    assert {name for name in mine if not name.startswith("[")} == known | everybodys
    with pytest.raises(ClusterForbidden) as caught:
        ann.get("Namespace", "kube-system")
    assert "get namespaces in the namespace kube-system" in caught.value.message


def test_who_only_runs_apps_can_do_that_and_changes_nothing_else(
    cluster: RealCluster, ann: Cluster, namespace: str
) -> None:
    role = permissions.only_role("flowerbed-runs", namespace, permissions.RUN_RULES)
    subjects = [permissions.service_account(namespace, "ann")]
    allow(cluster, [role, permissions.role_binding("flowerbed-runs", namespace, subjects)])
    for kind in ("StatefulSet", "Deployment", "Pod", "ConfigMap", "Job", "ReplicaSet", "Event", "ResourceQuota"):
        ann.listing(kind, namespace)
    ann.create(config_map(namespace, x="1"))
    assert ann.apply(config_map(namespace, x="2"), force=True)
    spec = pod("a", "exit 0")["spec"]
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a", "namespace": namespace}}
    ann.create({**job, "spec": {"template": {"spec": spec}}})
    assert ann.delete("Job", "a", namespace)
    for item in applied(namespace):
        if item["kind"] != "ConfigMap":
            with pytest.raises(ClusterForbidden):
                ann.apply(item)
        with pytest.raises(ClusterForbidden):
            ann.delete(item["kind"], "a", namespace)


def test_making_a_namespace_is_for_those_who_may(cluster: RealCluster, ann: Cluster, namespace: str) -> None:
    item: Object = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"{namespace[:50]}-2"}}
    with pytest.raises(ClusterForbidden) as caught:
        ann.create(item)
    assert "in the cluster as a whole" in caught.value.message
    allow(cluster, caught.value.role)
    try:
        ann.create(item)
        assert ann.get("Namespace", item["metadata"]["name"])
        assert ann.delete("Namespace", item["metadata"]["name"])
    finally:
        cluster.kubectl("delete", "clusterrole,clusterrolebinding", "flowerbed")


def test_exec_without_permission(cluster: RealCluster, ann: Cluster, namespace: str) -> None:
    with pytest.raises(ClusterForbidden) as caught, ann.stream("b", namespace, "main", ["true"]):
        pass
    assert "may not get pods/exec" in caught.value.message


def test_others_fields_are_never_overwritten_silently(cluster: RealCluster, admin: Cluster, namespace: str) -> None:
    admin.apply(workload("Deployment", namespace))
    cluster.kubectl("-n", namespace, "scale", "deployment", "a", "--replicas=3")
    cluster.kubectl("-n", namespace, "set", "image", "deployment/a", "main=flwr/superexec:1.22.0")
    with pytest.raises(ClusterConflict) as caught:
        admin.apply(workload("Deployment", namespace), dry_run=True)
    assert sorted(caught.value.conflicts) == [
        ("kubectl", ".spec.replicas"),
        ("kubectl-set", '.spec.template.spec.containers[name="main"].image'),
    ]
    assert "kubectl owns .spec.replicas" in caught.value.message
    assert admin.apply(workload("Deployment", namespace), force=True)["spec"]["replicas"] == 0


def test_what_can_only_be_set_at_the_beginning(admin: Cluster, namespace: str) -> None:
    admin.apply(workload("StatefulSet", namespace, serviceName="a"))
    with pytest.raises(ClusterImmutable) as caught:
        admin.apply(workload("StatefulSet", namespace, serviceName="b"))
    assert caught.value.where == "StatefulSet.apps a"
    assert "`flowerbed down` and `up` again" in str(caught.value.hint)
    changed = workload("Deployment", namespace)
    admin.apply(changed)
    changed["spec"]["selector"] = {"matchLabels": {"app": "b"}}
    changed["spec"]["template"]["metadata"]["labels"] = {"app": "b"}
    with pytest.raises(ClusterImmutable):
        admin.apply(changed)


def test_what_is_there_already(admin: Cluster, namespace: str) -> None:
    admin.create(config_map(namespace))
    with pytest.raises(ClusterRefused) as caught:
        admin.create(config_map(namespace))
    assert caught.value.reason == "AlreadyExists"


def test_what_is_invalid(admin: Cluster, namespace: str) -> None:
    with pytest.raises(ClusterRefused) as caught:
        admin.apply(workload("Deployment", namespace, replicas=-1))
    assert "spec.replicas: Invalid value: -1" in caught.value.message


def test_admission(admin: Cluster, namespace: str) -> None:
    bare = {"containers": [{"name": "main", "image": "flwr/superexec:1.42.0"}]}
    meta = {"name": "a", "namespace": namespace}
    with pytest.raises(ClusterRefused) as caught:
        admin.create({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": bare})
    assert not isinstance(caught.value, ClusterForbidden)
    assert 'the namespace enforces Pod Security "restricted"' in caught.value.message


def test_namespaces_that_are_not_there_or_not_for_long(cluster: RealCluster, admin: Cluster, namespace: str) -> None:
    with pytest.raises(ClusterRefused) as caught:
        admin.apply(config_map("nowhere"))
    assert caught.value.message == "there is no namespace nowhere (applying ConfigMap a)"
    keeper = config_map(namespace)
    keeper["metadata"] |= {"name": "keeper", "finalizers": ["example.com/keep"]}
    admin.apply(keeper)
    cluster.kubectl("delete", "namespace", namespace, "--wait=false")
    with pytest.raises(ClusterRefused) as caught:
        admin.apply(config_map(namespace))
    assert caught.value.message == f"applying ConfigMap a was refused: the namespace {namespace} is being deleted"
    patch = '{"metadata":{"finalizers":null}}'
    cluster.kubectl("-n", namespace, "patch", "configmap", "keeper", "--type=merge", "-p", patch)


def test_credentials_that_nobody_knows(cluster: RealCluster, connect: Connect, tmp_path: Path) -> None:
    stranger = connect(kubeconfig_of(cluster, "no-such-token", tmp_path))
    with pytest.raises(ClusterRefused) as caught:
        stranger.listing("Pod", "default")
    assert (
        caught.value.message
        == "the API server does not accept the kubeconfig's credentials (listing Pods in the namespace default)"
    )
    assert caught.value.reason == "Unauthorized"


def test_another_certificate(cluster: RealCluster, connect: Connect, tmp_path: Path) -> None:
    content = json.loads(cluster.kubeconfig.read_text(encoding="utf-8"))
    del content["clusters"][0]["cluster"]["certificate-authority-data"]
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ClusterUnreachable) as caught:
        connect(path).listing("Pod", "default")
    assert "certificate" in caught.value.message
