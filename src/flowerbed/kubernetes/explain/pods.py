"""One Pod: the one reason that explains why it is not ready, causes before consequences."""

from __future__ import annotations

import re
from datetime import timedelta

from flowerbed.kubernetes.explain import containers, events, scheduling
from flowerbed.kubernetes.explain.images import shorten
from flowerbed.kubernetes.explain.model import Kind, Reason, Seen
from flowerbed.kubernetes.explain.reading import (
    Object,
    at,
    condition,
    is_ready,
    moment,
    name,
    objects,
    strings,
    text,
)

STUCK = timedelta(seconds=30)
"""A Pod is stuck on its way out when it is there so long after its grace period."""

SCALING = ("TriggeredScaleUp", "Nominated")
"""Events of the cluster autoscaler and of Karpenter: a node is being made for the Pod."""

_PROBE_STATUS = re.compile(r"statuscode: (?P<code>\d+)")
_HOST_PATH = re.compile(r"hostPath type check failed: (?P<path>\S+) is not an? (?P<what>.+)")
# k8s.io/kubernetes, pkg/kubelet/eviction/helpers.go.
_LOW = re.compile(r"The node was low on resource: (?P<what>[\w-]+)")


def explain(pod: Object, seen: Seen) -> Reason | None:
    """Return why a Pod is not ready; None if it is, or if nothing is known against it."""
    if text(pod, "metadata", "deletionTimestamp") or moment(pod, "metadata", "deletionTimestamp"):
        return _ending(pod, seen)
    phase = text(pod, "status", "phase")
    if phase == "Succeeded" or is_ready(pod):
        return None
    if phase == "Failed":
        return _failed(pod)
    if not text(pod, "spec", "nodeName"):
        scaling_up = bool(events.of(pod, seen.events, *SCALING, kind="Pod"))
        room_soon = any(at(other, "metadata", "deletionTimestamp") for other in seen.pods)
        return scheduling.explain(pod, scaling_up=scaling_up, room_soon=room_soon)
    return (
        _node_lost(pod, seen)
        or containers.explain(pod, seen.events, seen.logs, seen.now)
        or _preparing(pod, seen)
        or _probes(pod, seen)
    )


def _ending(pod: Object, seen: Seen) -> Reason | None:
    until = moment(pod, "metadata", "deletionTimestamp")  # when its grace period ends; it is set with the request
    if lost := _node_lost(pod, seen):
        return lost
    if until is None or seen.now is None or seen.now - until < STUCK:
        return None
    if held := strings(pod, "metadata", "finalizers"):
        said = f"it is to go, but is held by {', '.join(held)}"
        return Reason(name(pod), Kind.TERMINATING, said, "Whoever set the finalizer must remove it.", fatal=True)
    said = "it is to go, but its node does not confirm its end"
    return Reason(name(pod), Kind.TERMINATING, said, _force_hint(pod))


def _force_hint(pod: Object) -> str:
    namespace = text(pod, "metadata", "namespace")
    where = f" -n {namespace}" if namespace else ""
    return (
        "If the node is gone for good: `kubectl delete node` it, or"
        f" `kubectl delete pod{where} {name(pod)} --force`. A StatefulSet's Pod is not replaced before."
    )


def _node_lost(pod: Object, seen: Seen) -> Reason | None:
    """Return that a Pod's node is gone.

    The node controller marks the Pods of such a node not ready, and touches no other condition
    (k8s.io/kubernetes, pkg/controller/util/node/controller_utils.go, `MarkPodsNotReady`), and says ``NodeNotReady``.
    """
    node = text(pod, "spec", "nodeName")
    if not node:
        return None
    known = next((item for item in seen.nodes if name(item) == node), None)
    if known is not None:
        lost = text(condition(known, "Ready"), "status") in ("Unknown", "False")
    else:
        untouched = text(condition(pod, "ContainersReady"), "status") == "True"
        gated = objects(pod, "spec", "readinessGates")
        marked = untouched and not gated and text(condition(pod, "Ready"), "status") in ("False", "Unknown")
        lost = text(pod, "status", "reason") == "NodeLost" or marked
    if not lost:
        return None
    said = f"its node {node} does not answer any more"
    return Reason(name(pod), Kind.NODE_LOST, said, _force_hint(pod))


def _failed(pod: Object) -> Reason:
    reason, message = text(pod, "status", "reason"), text(pod, "status", "message")
    if reason == "Evicted":
        match = _LOW.search(message)
        why = f"was short of {match['what']}" if match else f"wanted it gone: {shorten(message)}"
        hint = "Give its containers the requests that they really need, or the node more."
        return Reason(name(pod), Kind.EVICTED, f"it was evicted, because its node {why}", hint)
    if reason.startswith("OutOf"):  # kubelet's own check, pkg/kubelet/lifecycle/predicate.go
        said = f"its node has too little {reason.removeprefix('OutOf')} left for it"
        return Reason(name(pod), Kind.POD_FAILED, said, scheduling.RESOURCES_HINT)
    ends = [
        ended
        for part in ("initContainerStatuses", "containerStatuses")
        for status in objects(pod, "status", part)
        if (ended := at(status, "state", "terminated")) is not None and at(ended, "exitCode") not in (0, None)
    ]
    code = f", with exit status {at(ends[0], 'exitCode')}" if ends else ""
    tail = f": {shorten(message)}" if message else ""
    why = f" ({reason})" if reason else ""
    return Reason(name(pod), Kind.POD_FAILED, f"it failed{code}{why}{tail}")


def _preparing(pod: Object, seen: Seen) -> Reason | None:
    """Return what is in the way of a Pod that has a node and no container yet: mounts, network, sandbox."""
    told = events.of(pod, seen.events, "FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox", kind="Pod")
    states = [at(status, "state", "waiting", "reason") for status in objects(pod, "status", "containerStatuses")]
    if not told or any(state not in ("ContainerCreating", "PodInitializing") for state in states):
        return None
    reason = text(told[0], "reason")
    if reason == "FailedCreatePodSandBox":
        said = f"its node cannot set up its network or sandbox: {shorten(text(told[0], 'message'))}"
        return Reason(name(pod), Kind.SANDBOX, said)
    # "timed out waiting for the condition" comes again and again and says nothing: a better one is preferred.
    messages = [text(event, "message") for event in told]
    for message in messages:
        if found := containers.missing_configuration(message):
            kind, said, hint = found
            return Reason(name(pod), kind, said, hint, fatal=True)
        if match := _HOST_PATH.search(message):
            said = f"{match['path']} on its node is not a {match['what'].strip()}"
            return Reason(name(pod), Kind.MOUNT, said, "Make it on every node, or correct hostPath.", fatal=True)
        if "references non-existent" in message:
            said = f"a volume asks for a key that is not there: {shorten(message)}"
            return Reason(name(pod), Kind.CONFIGURATION_MISSING, said, containers.MISSING_HINT, fatal=True)
    best = next((said for said in messages if "timed out waiting for the condition" not in said), messages[0])
    return Reason(name(pod), Kind.MOUNT, f"a volume cannot be mounted: {shorten(best)}")


def _probes(pod: Object, seen: Seen) -> Reason | None:
    if text(pod, "status", "phase") != "Running":
        return None
    told = [text(event, "message") for event in events.of(pod, seen.events, "Unhealthy", kind="Pod")]
    if live := next((said for said in told if said.startswith("Liveness probe")), ""):
        return Reason(name(pod), Kind.NOT_READY, f"it does not show that it lives ({_probe(live)})")
    ready = next((said for said in told if said.startswith(("Startup probe", "Readiness probe"))), "")
    return Reason(name(pod), Kind.NOT_READY, f"it runs, but is not ready yet{f' ({_probe(ready)})' if ready else ''}")


def _probe(said: str) -> str:
    """Return what a probe found, without addresses (k8s.io/kubernetes, pkg/kubelet/prober/prober.go)."""
    if match := _PROBE_STATUS.search(said):
        return f"its probe is answered {match['code']}"
    if "connection refused" in said:
        return "nothing answers its probe yet"
    if "deadline exceeded" in said or "timed out" in said or "timeout" in said:
        return "its probe is not answered in time"
    return shorten(said, 120)
