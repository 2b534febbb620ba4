"""Real trouble in a real cluster, and the sentence that is said of it."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import urllib.request
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cluster import Cluster
from cluster.recipes import APP_USER
from flowerbed.kubernetes import belonging
from flowerbed.kubernetes.reasons import Kind, Reason, gather, problems

Object = dict[str, Any]

MINE = belonging.selector("trouble")
IMAGE = "flwr/superlink:1.42.0"
SLEEP = ["python", "-c", "import time; time.sleep(1000)"]
PATIENCE = 90.0

PLURALS = {
    "Pod": "pods",
    "StatefulSet": "statefulsets",
    "Deployment": "deployments",
    "ReplicaSet": "replicasets",
    "Job": "jobs",
    "PersistentVolumeClaim": "persistentvolumeclaims",
    "Event": "events",
    "ResourceQuota": "resourcequotas",
}


@dataclass
class Ward:
    """A namespace with workloads that have something.

    Parameters
    ----------
    cluster : Cluster
        Where.
    namespace : str
        Its name; Pod Security `restricted` is enforced.
    """

    cluster: Cluster
    namespace: str

    def kubectl(self, *arguments: str, data: object = None) -> str:
        """Run kubectl in the namespace."""
        text = None if data is None else json.dumps(data)
        return self.cluster.kubectl("--namespace", self.namespace, *arguments, input=text)

    def apply(self, *items: Object) -> None:
        """Apply objects."""
        self.kubectl("apply", "-f", "-", data={"apiVersion": "v1", "kind": "List", "items": list(items)})

    def listing(self, kind: str, namespace: str, *, labels: dict[str, str] | None = None) -> list[Object]:
        """List objects as `flowerbed.kubernetes.cluster.Cluster.list` does."""
        chosen = ["--selector", ",".join(f"{key}={value}" for key, value in labels.items())] if labels else []
        found = self.cluster.kubectl(
            *("--namespace", namespace, "get", PLURALS[kind], "--output", "json", "--show-managed-fields"), *chosen
        )
        return list(json.loads(found)["items"])

    def problems(self, now: datetime | None = None) -> list[Reason]:
        """Return what is said now."""
        return problems(gather(self.listing, self.namespace, "trouble", now=now))

    def told(self, kind: Kind) -> Reason:
        """Return the reason of a kind once it is said, and it must be the only one then."""
        found: list[Reason] = []

        def is_told() -> bool:
            found[:] = self.problems()
            return any(reason.kind is kind for reason in found)

        self.cluster.wait(is_told, f"{kind} to be told", seconds=PATIENCE)
        (reason,) = found
        return reason

    def well(self) -> bool:
        """Tell whether nothing is said, and a Pod is ready."""
        pods = self.kubectl("get", "pods", "-o", "jsonpath={.items[*].status.conditions[?(@.type=='Ready')].status}")
        return pods.split() == ["True"] and not self.problems()


@dataclass
class Repository:
    """An image's repository in the cluster's registry, spoken to as the distribution specification has it.

    Parameters
    ----------
    registry : str
        Host and port.
    name : str
        The repository.
    """

    registry: str
    name: str

    def offer_as(self, tag: str, other: str, *, architecture: str) -> str:
        """Offer an image under another tag, as an index that has it for another architecture only; return its name."""
        manifest, kind = self._get(f"manifests/{tag}")
        digest = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
        self._put(f"manifests/{digest}", manifest, kind)
        entry = {
            "mediaType": kind,
            "digest": digest,
            "size": len(manifest),
            "platform": {"architecture": architecture, "os": "linux"},
        }
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}
        self._put(f"manifests/{other}", json.dumps(index).encode(), INDEX)
        return f"{self.name}:{other}"

    def _get(self, path: str) -> tuple[bytes, str]:
        with self._ask(urllib.request.Request(self._url(path), headers={"Accept": ", ".join(MANIFESTS)})) as answer:  # noqa: S310
            return answer.read(), answer.headers["Content-Type"]

    def _put(self, path: str, data: bytes, kind: str) -> None:
        request = urllib.request.Request(self._url(path), data, {"Content-Type": kind}, method="PUT")  # noqa: S310
        self._ask(request).close()

    def _url(self, path: str) -> str:
        return f"http://{self.registry}/v2/{self.name}/{path}"

    def _ask(self, request: urllib.request.Request) -> Any:
        return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20)


INDEX = "application/vnd.oci.image.index.v1+json"
MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)


@pytest.fixture
def ward(cluster: Cluster, namespace: str) -> Ward:
    return Ward(cluster, namespace)


def pod(command: list[str] | None = None, **changes: Any) -> Object:
    """Return a Pod's spec that Pod Security `restricted` lets in; `container` changes its container."""
    container = {
        "name": "unit",
        "image": IMAGE,
        "command": command or SLEEP,
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        **changes.pop("container", {}),
    }
    security = {"runAsNonRoot": True, "runAsUser": APP_USER, "seccompProfile": {"type": "RuntimeDefault"}}
    return {
        "containers": [container],
        "securityContext": security,
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
        **changes,
    }


def statefulset(spec: Object, **more: Any) -> Object:
    """Return a StatefulSet of a Pod."""
    labels = {"app": "a", **MINE}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "a", "labels": labels},
        "spec": {
            "serviceName": "a",
            "selector": {"matchLabels": {"app": "a"}},
            "template": {"metadata": {"labels": labels}, "spec": spec},
            **more,
        },
    }


def quota(**hard: str) -> Object:
    named = {key.replace("_", "."): value for key, value in hard.items()}
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small"}, "spec": {"hard": named}}


def claims(storage_class: str) -> Object:
    """Return the parts of a StatefulSet and of its container for one claim."""
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        "storageClassName": storage_class,
    }
    return {"volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": spec}]}


DATA = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}


def test_a_missing_image_told_once_for_both_pods_and_no_more_once_it_is_mended(ward: Ward) -> None:
    broken = pod(container={"image": "flwr/superlink:9.99.9"})
    ward.apply(statefulset(broken, replicas=2, podManagementPolicy="Parallel"))
    ward.cluster.wait(lambda: [found.others for found in ward.problems()] == [("a-1",)], "both to be told", PATIENCE)
    found = ward.told(Kind.IMAGE_MISSING)
    assert str(found) == "a-0 (and 1 more): the image flwr/superlink:9.99.9 does not exist in its registry"
    assert found.fatal
    ward.apply(statefulset(pod(), replicas=1, podManagementPolicy="Parallel"))
    ward.cluster.wait(ward.well, "the mended Pod to be well", PATIENCE)


def test_a_statefulset_in_order_waits_for_its_broken_pod_until_it_is_deleted_as_the_hint_says(ward: Ward) -> None:
    ward.apply(statefulset(pod(container={"image": "flwr/superlink:9.99.9"})))
    ward.told(Kind.IMAGE_MISSING)
    ward.apply(statefulset(pod()))
    ward.cluster.wait(lambda: "kubectl delete pod" in str(ward.told(Kind.IMAGE_MISSING).hint), "the hint", PATIENCE)
    hint = str(ward.told(Kind.IMAGE_MISSING).hint)
    assert f"`kubectl delete pod -n {ward.namespace} a-0`" in hint
    ward.kubectl("delete", "pod", "a-0")
    ward.cluster.wait(ward.well, "the new Pod to be well", PATIENCE)


def test_unschedulable(ward: Ward) -> None:
    ward.apply(statefulset(pod(container={"resources": {"requests": {"cpu": "64"}}})))
    found = ward.told(Kind.UNSCHEDULABLE)
    assert str(found) == "a-0: no node can take it: not enough free cpu (it asks for 64)"
    assert found.fatal


def test_labels_that_no_node_has(ward: Ward) -> None:
    ward.apply(statefulset(pod(nodeSelector={"pool": "gpu"})))
    found = ward.told(Kind.UNSCHEDULABLE)
    assert found.message == "no node can take it: not the labels that it must have (pool=gpu)"


def test_quota_and_its_raising(ward: Ward) -> None:
    ward.apply(quota(requests_cpu="1"))
    ward.apply(statefulset(pod(container={"resources": {"requests": {"cpu": "1500m"}}})))
    found = ward.told(Kind.QUOTA)
    assert str(found) == (
        "a: the quota small of the namespace leaves no room: requests.cpu=1500m asked for, requests.cpu=0 in use,"
        " requests.cpu=1 allowed"
    )
    assert found.fatal
    ward.apply(quota(requests_cpu="3"))
    ward.cluster.wait(lambda: not any(item.fatal for item in ward.problems()), "waiting to make sense", PATIENCE)


def test_a_job_that_the_quota_stops(ward: Ward) -> None:
    spec = {"template": {"metadata": {"labels": MINE}, "spec": {**pod(), "restartPolicy": "Never"}}}
    meta = {"name": "a-run-1", "labels": MINE}
    ward.apply(quota(pods="0"))
    ward.cluster.wait(lambda: "hard" in ward.kubectl("get", "quota", "-o", "jsonpath={.items[*].status}"), "the quota")
    ward.apply({"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": spec})
    assert ward.told(Kind.QUOTA).subject == "a-run-1"


def test_pod_security(ward: Ward) -> None:
    ward.apply(statefulset({"containers": [{"name": "unit", "image": IMAGE}]}))
    found = ward.told(Kind.POD_SECURITY)
    assert found.subject == "a"
    assert found.message.startswith('the namespace enforces Pod Security "restricted", which this breaks: ')
    assert found.fatal


@pytest.mark.parametrize(
    ("storage_class", "words"), [("golden", "no StorageClass golden"), ("", "names no StorageClass")]
)
def test_a_missing_storage_class(ward: Ward, storage_class: str, words: str) -> None:
    ward.apply(statefulset(pod(container=DATA), **claims(storage_class)))
    ward.cluster.wait(lambda: [item.subject for item in ward.problems()] == ["data-a-0"], "the claim alone", PATIENCE)
    found = ward.told(Kind.NO_STORAGE_CLASS)
    assert words in found.message
    assert found.fatal


def test_a_claim_that_only_waits_for_its_pod_is_no_trouble(ward: Ward) -> None:
    ward.apply(statefulset(pod(container=DATA), **claims("standard")))
    seen: set[Kind] = set()

    def is_well() -> bool:
        seen.update(found.kind for found in ward.problems())
        return ward.well()

    ward.cluster.wait(is_well, "the Pod to be well", PATIENCE)
    assert not seen & {Kind.NO_STORAGE_CLASS, Kind.UNSCHEDULABLE}


def test_crash_loop(ward: Ward) -> None:
    ward.apply(statefulset(pod(["python", "-c", "raise SystemExit('no such database')"])))
    found = ward.told(Kind.CRASH_LOOP)
    assert str(found) == "a-0: it ends again and again, with exit status 1"
    assert (found.fatal, found.container) == (True, "unit")
    assert ward.problems(now=datetime.now(UTC) + timedelta(seconds=30)) == [found]


def test_memory(ward: Ward) -> None:
    hungry = pod(
        ["python", "-c", "x = bytearray(300 * 2**20)"], container={"resources": {"limits": {"memory": "64Mi"}}}
    )
    ward.apply(statefulset(hungry))
    assert "than its limit of 64Mi" in ward.told(Kind.OUT_OF_MEMORY).message


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("nosuch", "its image has no program nosuch"),
        ("/no/such", "its image has no program /no/such"),
        ("/etc/passwd", "its image does not let /etc/passwd be executed"),
    ],
)
def test_a_program_that_cannot_be_executed(ward: Ward, program: str, words: str) -> None:
    ward.apply(statefulset(pod([program])))
    found = ward.told(Kind.START)
    assert (str(found), found.fatal) == (f"a-0: {words}", True)


def test_programs_for_another_architecture(ward: Ward) -> None:
    """An executable that this machine's kernel does not take, as all are in an image for another machine."""
    foreign = base64.b64encode(b"\x7fELF" + bytes(60)).decode()
    ward.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "foreign"}, "binaryData": {"x": foreign}})
    volume = {"name": "data", "configMap": {"name": "foreign", "defaultMode": 0o555}}
    ward.apply(statefulset(pod(["/data/x"], volumes=[volume], container=DATA)))
    ward.told(Kind.CRASH_LOOP)

    def with_log() -> list[Reason]:
        log = ward.kubectl("logs", "a-0")  # of a container that is just being replaced, kubelet has none
        return problems(gather(ward.listing, ward.namespace, "trouble", logs={"a-0/unit": log}))

    ward.cluster.wait(
        lambda: [(found.kind, found.fatal) for found in with_log()] == [(Kind.IMAGE_ARCHITECTURE, True)],
        "the log to tell of the architecture",
        PATIENCE,
    )


def test_an_image_for_another_architecture(ward: Ward) -> None:
    other = Repository(ward.cluster.registry, "flwr/superlink").offer_as("1.42.0", "s390x", architecture="s390x")
    ward.apply(statefulset(pod(container={"image": other})))
    found = ward.told(Kind.IMAGE_ARCHITECTURE)
    assert (found.message, found.fatal) == (f"the image {other} has nothing for the node's architecture", True)


SECRET_VOLUME = {"volumes": [{"name": "data", "secret": {"secretName": "absent"}}]}
FROM_SECRET = {"container": {"envFrom": [{"secretRef": {"name": "absent"}}]}}
FROM_CONFIGMAP = {"container": {"envFrom": [{"configMapRef": {"name": "absent"}}]}}


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        (FROM_SECRET, "Secret"),
        (FROM_CONFIGMAP, "ConfigMap"),
        ({**SECRET_VOLUME, "container": DATA}, "Secret"),
    ],
    ids=["environment", "configmap", "volume"],
)
def test_a_missing_secret(ward: Ward, changes: Object, what: str) -> None:
    ward.apply(statefulset(pod(**changes)))
    found = ward.told(Kind.CONFIGURATION_MISSING)
    assert (str(found), found.fatal) == (f"a-0: there is no {what} absent in the namespace", True)


def test_not_ready_yet(ward: Ward) -> None:
    probe = {"readinessProbe": {"httpGet": {"path": "/ready", "port": 9990}, "periodSeconds": 1}}
    ward.apply(statefulset(pod(container=probe)))
    ward.cluster.wait(lambda: "probe" in ward.told(Kind.NOT_READY).message, "the probe to be told", PATIENCE)
    found = ward.told(Kind.NOT_READY)
    assert str(found) == "a-0: it runs, but is not ready yet (nothing answers its probe yet)"
    assert not found.fatal


def test_a_node_that_is_lost(ward: Ward) -> None:
    """Seen from the Pod alone, as most users may not look at nodes."""
    ward.apply(statefulset(pod()))
    ward.cluster.wait(ward.well, "the Pod to be well", PATIENCE)
    kubelet = ward.cluster.nodes[0].kubelet.pid()
    os.kill(kubelet, signal.SIGSTOP)
    try:
        assert ward.told(Kind.NODE_LOST).message == "its node node-0 does not answer any more"
    finally:
        os.kill(kubelet, signal.SIGCONT)
    ward.cluster.wait(ward.well, "the node to be back", PATIENCE)


def test_a_namespace_that_ends(ward: Ward) -> None:
    keeper = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "k", "finalizers": ["example.com/keep"]}}
    ward.apply(keeper)
    ward.kubectl("delete", "namespace", ward.namespace, "--wait=false")
    item = json.loads(ward.kubectl("get", "namespace", ward.namespace, "-o", "json"))
    seen = gather(ward.listing, ward.namespace, "trouble")
    (found,) = problems(replace(seen, namespace=item))
    assert found.kind is Kind.NAMESPACE_TERMINATING
    ward.kubectl("patch", "configmap", "k", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
