"""Objects as a real API server gave them (Kubernetes 1.34.4, containerd 1.6), cut down to what matters."""

from __future__ import annotations

from typing import Any

from flowerbed.kubernetes.reasons import Kind, Reason, Seen, problems

Object = dict[str, Any]

NAMESPACE = "hospitals"
IMAGE = "ghcr.io/thunderblok/flower-superexec:0.0.1"
BORN = "2026-11-24T15:12:21Z"
LATER = "2026-11-24T15:14:04Z"
EARLIER = "2026-11-24T15:10:00Z"

NOT_READY = [
    {"type": "PodReadyToStartContainers", "status": "True"},
    {"type": "Initialized", "status": "True"},
    {"type": "Ready", "status": "False", "reason": "ContainersNotReady"},
    {"type": "ContainersReady", "status": "False", "reason": "ContainersNotReady"},
    {"type": "PodScheduled", "status": "True"},
]
READY = [{"type": kind, "status": "True"} for kind in ("Initialized", "Ready", "ContainersReady", "PodScheduled")]

NOT_FOUND = (
    f'rpc error: code = NotFound desc = failed to pull and unpack image "{IMAGE}": failed to resolve reference'
    f' "{IMAGE}": {IMAGE}: not found'
)
"""What containerd says of an image that its registry does not have."""

PREFIX = (
    'create Pod flower-hospital-0 in StatefulSet flower-hospital failed error: pods "flower-hospital-0" is forbidden: '
)
QUOTA = "exceeded quota: small, requested: limits.memory=2Gi,requests.cpu=2, used: limits.memory=0,requests.cpu=0, limited: limits.memory=1Gi,requests.cpu=1"  # noqa: E501
SECURITY = (
    'violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "u" must set'
    ' securityContext.allowPrivilegeEscalation=false), runAsNonRoot != true (pod or container "u" must set'
    " securityContext.runAsNonRoot=true)"
)


def pod(
    name: str = "flower-hospital-0",
    *statuses: Object,
    owner: str = "StatefulSet",
    labels: dict[str, str] | None = None,
    spec: Object | None = None,
    container: Object | None = None,
    **status: Any,
) -> Object:
    """Return a Pod on a node with one container, not ready unless `status` says so."""
    one = {
        "name": "supernode",
        "image": IMAGE,
        "resources": {"requests": {"cpu": "250m", "memory": "512Mi"}, "limits": {"memory": "1Gi"}},
        **(container or {}),
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "uid": f"uid-of-{name}",
            "creationTimestamp": BORN,
            "labels": labels or {},
            "ownerReferences": [{"kind": owner, "name": "x", "uid": f"uid-of-{owner}", "controller": True}],
        },
        "spec": {"nodeName": "node-0", "containers": [one], **(spec or {})},
        "status": {"phase": "Pending", "conditions": NOT_READY, "containerStatuses": list(statuses), **status},
    }


def waiting(reason: str, message: str = "", *, last: Object | None = None, restarts: int = 0) -> Object:
    """Return the status of a container that waits."""
    state = {"waiting": {"reason": reason} | ({"message": message} if message else {})}
    return {
        "name": "supernode",
        "image": IMAGE,
        "ready": False,
        "restartCount": restarts,
        "state": state,
        "lastState": {"terminated": last} if last else {},
    }


def running(*, started: str = LATER, last: Object | None = None, restarts: int = 0) -> Object:
    """Return the status of a container that runs and is not ready."""
    found = waiting("", last=last, restarts=restarts)
    return found | {"state": {"running": {"startedAt": started}}}


def ended(code: int, reason: str = "Error", message: str = "") -> Object:
    """Return how a container ended."""
    return {
        "exitCode": code,
        "reason": reason,
        "startedAt": "2026-11-24T15:14:03Z",
        "finishedAt": LATER,
        "containerID": "containerd://42125195d1dd2bc4491c896f48f9f5a6ec4b9c5dd6152d78a72d680228edeec2",
    } | ({"message": message} if message else {})


def crash_loop(code: int, reason: str = "Error", message: str = "") -> Object:
    """Return the status of a container that is started again and again."""
    said = "back-off 1m20s restarting failed container=supernode pod=flower-hospital-0_hospitals(c0b7445d)"
    return waiting("CrashLoopBackOff", said, last=ended(code, reason, message), restarts=4)


def unscheduled(message: str, *, name: str = "flower-hospital-0", **more: Any) -> Object:
    """Return a Pod of which the scheduler says why it is on no node."""
    state = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    found = pod(name, **more)
    del found["spec"]["nodeName"]
    found["status"] = {"phase": "Pending", "conditions": [state], "qosClass": "Burstable"}
    return found


def event(about: Object, reason: str, message: str, *, at: str = LATER, kind: str = "Warning") -> Object:
    """Return an event as kubelet and the controllers write it."""
    meta = about["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{meta['name']}.1873a", "namespace": NAMESPACE, "creationTimestamp": at},
        "involvedObject": {"kind": about["kind"], "name": meta["name"], "namespace": NAMESPACE, "uid": meta["uid"]},
        "type": kind,
        "reason": reason,
        "message": message,
        "count": 3,
        "firstTimestamp": at,
        "lastTimestamp": at,
        "eventTime": None,
    }


def workload(
    kind: str, name: str = "flower-hospital", *, replicas: int = 1, changed: str = BORN, **status: Any
) -> Object:
    """Return a StatefulSet, Deployment, ReplicaSet or Job."""
    fields = [
        {"manager": "flowerbed", "operation": "Apply", "time": changed},
        {"manager": "kube-controller-manager", "operation": "Update", "subresource": "status", "time": LATER},
    ]
    return {
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "uid": f"uid-of-{kind}",
            "creationTimestamp": BORN,
            "managedFields": fields,
        },
        "spec": {} if kind == "Job" else {"replicas": replicas},
        "status": status,
    }


def claim(name: str = "data-flower-superlink-0", phase: str = "Pending") -> Object:
    """Return a claim."""
    meta = {"name": name, "namespace": NAMESPACE, "uid": f"uid-of-{name}", "creationTimestamp": BORN}
    return {"kind": "PersistentVolumeClaim", "metadata": meta, "spec": {}, "status": {"phase": phase}}


def mounts(*claims: str) -> Object:
    """Return the part of a Pod's spec that mounts claims."""
    return {"volumes": [{"name": f"v{n}", "persistentVolumeClaim": {"claimName": c}} for n, c in enumerate(claims)]}


def only(seen: Seen) -> Reason:
    """Return the one reason that there is."""
    (found,) = problems(seen)
    return found


def said(*pods: Object, events: tuple[Object, ...] = ()) -> str:
    """Return the sentence about some Pods."""
    return str(only(Seen(pods=pods, events=events)))


def kind_of(*pods: Object, events: tuple[Object, ...] = ()) -> tuple[Kind, bool]:
    """Return the kind of the one reason, and whether it is fatal."""
    found = only(Seen(pods=pods, events=events))
    return found.kind, found.fatal


def failed_job(reason: str, message: str) -> Object:
    """Return a Job that Kubernetes has given up."""
    job = workload("Job", "flower-run-1")
    job["status"] = {"conditions": [{"type": "Failed", "status": "True", "reason": reason, "message": message}]}
    return job
