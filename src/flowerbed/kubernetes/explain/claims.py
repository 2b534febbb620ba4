"""Claims that get no volume.

The texts are those of k8s.io/kubernetes, pkg/controller/volume/persistentvolume/pv_controller.go, and of
sig-storage-lib-external-provisioner (``failed to provision volume with StorageClass …``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from flowerbed.kubernetes.explain import events
from flowerbed.kubernetes.explain.images import shorten
from flowerbed.kubernetes.explain.model import Kind, Reason
from flowerbed.kubernetes.explain.reading import Object, name, objects, text

STORAGE_HINT = (
    "Name one that there is (`kubectl get storageclass`) in storageClassName, or have a default made; a claim keeps"
    " the class it was made with, so delete this one (`kubectl delete pvc {name}`) before the next `up`."
)

_NO_CLASS = re.compile(r'storageclass(?:\.storage\.k8s\.io)? "(?P<name>[^"]*)" not found', re.IGNORECASE)
_WAITING = ("WaitForFirstConsumer", "WaitForPodScheduled", "ExternalProvisioning")
_FAILED = ("ProvisioningFailed", "FailedBinding", "VolumeMismatch")


def used_by(pod: Object) -> list[str]:
    """Return the names of the claims that a Pod mounts."""
    found = (text(volume, "persistentVolumeClaim", "claimName") for volume in objects(pod, "spec", "volumes"))
    return [claim for claim in found if claim]


def explain(claim: Object, seen_events: Sequence[Object]) -> Reason | None:
    """Return why a claim has no volume; None if it has one, or only waits for its Pod."""
    phase = text(claim, "status", "phase")
    if phase == "Lost":
        return Reason(
            name(claim),
            Kind.CLAIM_PENDING,
            "the volume of this claim is gone, and its data with it",
            f"Delete the claim (`kubectl delete pvc {name(claim)}`) to begin with an empty one.",
            fatal=True,
        )
    if phase != "Pending":
        return None
    told = events.of(claim, seen_events, *_WAITING, *_FAILED, kind="PersistentVolumeClaim")
    if not told:
        return None
    reason, message = text(told[0], "reason"), text(told[0], "message")
    if match := _NO_CLASS.search(message):
        said = f"the cluster has no StorageClass {match['name']}, which this claim asks for"
        return Reason(name(claim), Kind.NO_STORAGE_CLASS, said, STORAGE_HINT.format(name=name(claim)), fatal=True)
    if "no storage class is set" in message:
        said = "this claim names no StorageClass, and the cluster has neither a default one nor a volume that fits"
        return Reason(name(claim), Kind.NO_STORAGE_CLASS, said, STORAGE_HINT.format(name=name(claim)), fatal=True)
    if reason == "ExternalProvisioning":
        said = "the cluster's provisioner has not made the volume of this claim yet"
        return Reason(name(claim), Kind.CLAIM_PENDING, said)
    if reason in _FAILED:
        said = f"the volume of this claim could not be made: {shorten(message)}"
        return Reason(name(claim), Kind.CLAIM_PENDING, said, f"`kubectl describe pvc {name(claim)}` says more.")
    return None
