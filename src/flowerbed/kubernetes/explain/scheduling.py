"""Pods that no node can take: the scheduler's sentence, translated.

Its form is ``0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint {a: b}. preemption: …``
(k8s.io/kubernetes, pkg/scheduler/framework/types.go, `FitError`); the parts come from pkg/scheduler/framework/plugins.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from flowerbed.kubernetes.explain.images import shorten
from flowerbed.kubernetes.explain.model import Kind, Reason
from flowerbed.kubernetes.explain.reading import Object, at, condition, name, objects, text

_FORM = re.compile(r"0/(?P<nodes>\d+) nodes are available:? ?(?P<rest>.*)", re.DOTALL)
_AFTERWARDS = re.compile(r"\.?\s*(?:preemption:|no new claims to deallocate|still not schedulable).*", re.DOTALL)
_PARTS = re.compile(r"[,.] (?=\d+ )")
_COUNTED = re.compile(r"(?P<count>\d+) (?P<what>.+)", re.DOTALL)
_TAINT = re.compile(r"had untolerated taint(?:s|\(s\))? ?(?:\{(?P<key>[^:}]*): ?(?P<value>[^}]*)\})?")
_NO_CLAIM = re.compile(r'persistentvolumeclaim "(?P<name>[^"]+)" not found')
_CLAIM_GOES = re.compile(r'persistentvolumeclaim "(?P<name>[^"]+)" is being deleted')

# What the plugins say → what it means.
_MEANINGS = (
    (re.compile(r"were unschedulable"), "cordoned off"),
    (re.compile(r"didn't match pod anti-affinity|existing pods anti-affinity"), "a Pod there that it must not meet"),
    (re.compile(r"didn't match pod affinity"), "no Pod there that it must be with"),
    (re.compile(r"topology spread"), "the Pods would be spread unevenly"),
    (re.compile(r"didn't have free ports"), "its port is in use"),
    (re.compile(r"didn't find available persistent volumes"), "no volume for its claim"),
    (re.compile(r"PersistentVolume's node affinity|volume node affinity conflict"), "its volume cannot be reached"),
    (re.compile(r"no available volume zone"), "not in its volume's zone"),
    (re.compile(r"did not have enough free storage"), "not enough storage for its claim"),
    (re.compile(r"exceed max volume count"), "as many volumes as there may be"),
    (re.compile(r"ReadWriteOncePod"), "its claim is used by another Pod, alone"),
    (re.compile(r"non-existent pv"), "the volume of its claim is gone"),
)

_TAINTS = {
    "node.kubernetes.io/not-ready": "not ready",
    "node.kubernetes.io/unreachable": "unreachable",
    "node.kubernetes.io/unschedulable": "cordoned off",
    "node.kubernetes.io/disk-pressure": "short of disk space",
    "node.kubernetes.io/memory-pressure": "short of memory",
    "node.kubernetes.io/pid-pressure": "short of process ids",
    "node.kubernetes.io/network-unavailable": "no network yet",
    "node.cloudprovider.kubernetes.io/uninitialized": "still being set up",
    "node-role.kubernetes.io/control-plane": "kept for the control plane",
}
"""Well-known taints (kubernetes.io, "Well-Known Labels, Annotations and Taints") → what they mean for nodes."""

_SELECTED = re.compile(r"didn't match Pod's node affinity/selector")

RESOURCES_HINT = "Lower the requests in the file's resources, run fewer replicas, or add a node."
DEVICES_HINT = (
    "Ask for fewer, or add a node that has them: `kubectl describe nodes` shows {resource} below Allocatable only"
    " where its device plugin runs."
)
PLACEMENT_HINT = (
    "Change nodeSelector, affinity or tolerations in the file, or label or untaint a node: `kubectl describe nodes`"
    " shows each one's labels and taints."
)


def explain(pod: Object, *, scaling_up: bool, room_soon: bool) -> Reason | None:
    """Return why a Pod is on no node; None if nothing is known against it.

    Parameters
    ----------
    pod : dict
        A Pod without a node.
    scaling_up : bool
        Whether an autoscaler has said that it makes a node for it.
    room_soon : bool
        Whether Pods of the same federation are on their way out.
    """
    state = condition(pod, "PodScheduled")
    reason, message = text(state, "reason"), text(state, "message")
    if reason == "SchedulingGated":
        said = "it waits for a scheduling gate that somebody else must lift"
        return Reason(name(pod), Kind.UNSCHEDULABLE, said, fatal=False)
    if text(state, "status") != "False" or not message:
        return None
    if match := _NO_CLAIM.search(message):
        return Reason(
            name(pod),
            Kind.CLAIM_MISSING,
            f"there is no claim {match['name']}",
            "Make the PersistentVolumeClaim, or correct the name in the file's volumes.",
            fatal=True,
        )
    if match := _CLAIM_GOES.search(message):
        said = f"its claim {match['name']} is being deleted, and goes when no Pod uses it any more"
        return Reason(name(pod), Kind.CLAIM_PENDING, said, fatal=False)
    if "unbound immediate PersistentVolumeClaims" in message:
        return Reason(name(pod), Kind.CLAIM_PENDING, "one of its claims has no volume yet", fatal=False)
    said, lacks_room = translate(message, pod)
    waits = scaling_up or (lacks_room and room_soon)
    if scaling_up:
        said += "; the cluster's autoscaler is making one"
    return Reason(name(pod), Kind.UNSCHEDULABLE, said, _hint(message, lacks_room), fatal=not waits)


def _hint(message: str, lacks_room: bool) -> str:
    """Return what to do, by the first of these that the sentence is about."""
    devices = re.findall(r"Insufficient (\S+/[^\s,]+)", message)
    if devices:
        return DEVICES_HINT.format(resource=devices[0].rstrip("."))
    if lacks_room:
        return RESOURCES_HINT
    found = [match for match in _TAINT.finditer(message) if (match["key"] or "").strip() not in _TAINTS]
    if found or _SELECTED.search(message):
        return PLACEMENT_HINT
    return "`kubectl describe nodes` shows each one's labels, taints and state."


def translate(message: str, pod: Object) -> tuple[str, bool]:
    """Return the scheduler's sentence in plain words, and whether it is about cpu, memory or another resource."""
    if message.startswith("no nodes available to schedule pods"):
        return "the cluster has no nodes", False
    match = _FORM.search(message)
    if match is None:
        return f"no node can take it: {shorten(message)}", False
    total = int(match["nodes"])
    if total == 0:
        return "the cluster has no nodes", False
    parts, lacks_room = [], False
    for part in _PARTS.split(_AFTERWARDS.sub("", match["rest"]).strip().rstrip(".")):
        counted = _COUNTED.fullmatch(part.strip())
        if counted is None:
            parts.append(shorten(part))
            continue
        about_room, meaning = _meaning(counted["what"], pod)
        lacks_room = lacks_room or about_room
        everywhere = int(counted["count"]) >= total
        parts.append(meaning if everywhere else f"{counted['count']} of {total}: {meaning}")
    why = "; ".join(filter(None, parts))
    return f"no node can take it: {why}" if why else "no node can take it", lacks_room


def _meaning(what: str, pod: Object) -> tuple[bool, str]:
    if what.startswith("Insufficient "):
        resource = what.removeprefix("Insufficient ").rstrip(".")
        asked = _asked(pod, resource)
        return True, f"not enough free {resource}{f' (it asks for {asked})' if asked else ''}"
    if what.startswith("Too many pods"):
        return True, "as many Pods as there may be"
    if match := _TAINT.search(what):
        key, value = (match["key"] or "").strip(), (match["value"] or "").strip()
        if key in _TAINTS:
            return False, _TAINTS[key]
        taint = f"{key}={value}" if value else key
        return False, f"the taint {taint}, which it does not tolerate" if key else "taints that it does not tolerate"
    if _SELECTED.search(what):
        return False, _selection(pod)
    for pattern, meaning in _MEANINGS:
        if pattern.search(what):
            return False, meaning
    return False, shorten(what.removeprefix("node(s) "))


def _selection(pod: Object) -> str:
    """Say which labels a node must have for a Pod: its nodeSelector, and the terms of its node affinity."""
    labels = at(pod, "spec", "nodeSelector")
    said = [f"{key}={value}" for key, value in labels.items()] if isinstance(labels, Mapping) else []
    terms = objects(
        pod, "spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"
    )
    either = " or ".join(filter(None, map(_term, terms)))
    wanted = ", ".join([*said, *([either] if either else [])])
    return f"not the labels that it must have ({wanted or 'nodeSelector'})"


def _term(term: Object) -> str:
    found = [*objects(term, "matchExpressions"), *objects(term, "matchFields")]
    return " and ".join(_condition(one) for one in found)


def _condition(one: Object) -> str:
    key, operator = text(one, "key"), text(one, "operator")
    given = at(one, "values")
    values = ", ".join(map(str, given)) if isinstance(given, list) else ""
    return f"{key} {operator}{f' {values}' if values else ''}"


def _asked(pod: Object, resource: str) -> str:
    """Return what a Pod asks for of a resource, where one container alone asks."""
    asked = [
        found
        for container in objects(pod, "spec", "containers")
        if (found := text(container, "resources", "requests", resource))
    ]
    return asked[0] if len(asked) == 1 else ""
