"""On which nodes a Pod may run: the file's words as fields of a Pod's spec, and what presets stand for."""

from __future__ import annotations

from flowerbed.kubernetes.manifests.identity import Object
from flowerbed.kubernetes.manifests.said import said
from flowerbed.spec.kubernetes import Resources
from flowerbed.spec.scheduling import GpuPreset, Gpus, Placement, SpreadConstraint

HOSTNAME = "kubernetes.io/hostname"

GPU_NODES: dict[GpuPreset, tuple[dict[str, str], Object]] = {
    GpuPreset.THUNDERLINE: (
        {"accelerator": "nvidia"},
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
    ),
}
"""Which labels the nodes with GPUs have, and which taint keeps other Pods away from them, by convention."""


def pod_fields(placement: Placement, gpus: Gpus | None = None) -> Object:
    """Return the fields of a Pod's spec that say where it may run; only those that say something.

    What the file says goes before what a preset stands for.
    """
    selector, tolerations = dict(placement.node_selector), [said(one) for one in placement.tolerations]
    if gpus is not None and gpus.preset is not None:
        labels, toleration = GPU_NODES[gpus.preset]
        selector = {**labels, **selector}
        if toleration not in tolerations:
            tolerations.append(dict(toleration))
    fields = {
        "nodeSelector": selector,
        "tolerations": tolerations,
        "affinity": said(placement.affinity) if placement.affinity else {},
        "runtimeClassName": placement.runtime_class_name,
        "priorityClassName": placement.priority_class_name,
    }
    return {name: value for name, value in fields.items() if value}


def spreading(constraints: tuple[SpreadConstraint, ...] | None, selector: dict[str, str]) -> Object:
    """Return how a pool's Pods are spread; over nodes, where that is possible, if the file says nothing.

    Parameters
    ----------
    constraints : tuple of SpreadConstraint or None
        What the file says.
    selector : dict of str to str
        The labels of the pool's Pods, which are counted where a constraint does not say which.
    """
    given = (SpreadConstraint(topology_key=HOSTNAME),) if constraints is None else constraints
    pool = {"matchLabels": selector}
    made = [{**said(one), "labelSelector": said(one.label_selector) if one.label_selector else pool} for one in given]
    return {"topologySpreadConstraints": made} if made else {}


def with_gpus(given: Resources, gpus: Gpus | None) -> Resources:
    """Return the file's resources with its GPUs among them: limits, because of GPUs a request is never less."""
    if gpus is None:
        return given
    return Resources(requests=given.requests, limits={**given.limits, gpus.resource: str(gpus.count)})
