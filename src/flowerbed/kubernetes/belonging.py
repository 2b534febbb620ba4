"""Which objects of a namespace are a federation's: by a label of ours, and Pods by their owners.

Whoever applies our objects may rewrite Kubernetes' recommended labels on them. Helm sets
``app.kubernetes.io/managed-by`` (helm.sh/helm, pkg/action/validate.go, `setMetadataVisitor`), Argo CD that tracks by
label ``app.kubernetes.io/instance`` (argo-cd.readthedocs.io, "Resource Tracking"). Neither touches the templates of
Pods and claims. Pure, but for `find`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flowerbed.errors import ClusterForbidden
from flowerbed.kubernetes.explain.reading import controller, objects, strings, text
from flowerbed.kubernetes.labels import FEDERATION, INSTANCE, MANAGED_BY, MANAGER

Object = Mapping[str, Any]
Listing = Callable[..., Iterable[Object]]
"""Takes kind, namespace and labels; `Cluster.listing`."""

SUPERLINK = "flower-superlink"
"""The program of a SuperLink."""


@dataclass(frozen=True)
class Belongings:
    """What there is of a federation, and the SuperLinks beside it.

    Parameters
    ----------
    statefulsets, deployments, replicasets, pods : sequence of dict
        The federation's.
    others : sequence of dict
        Workloads of Flower SuperLinks that have no label of Flowerbed's.
    """

    statefulsets: Sequence[Object] = ()
    deployments: Sequence[Object] = ()
    replicasets: Sequence[Object] = ()
    pods: Sequence[Object] = ()
    others: Sequence[Object] = ()

    @property
    def workloads(self) -> list[Object]:
        """The StatefulSets and Deployments."""
        return [*self.statefulsets, *self.deployments]


def selector(federation: str) -> dict[str, str]:
    """Return the labels of what nobody else rewrites: records of runs, Jobs, Pods, and claims that StatefulSets make.

    Whatever an earlier Flowerbed applied has them, too.
    """
    return {INSTANCE: federation, MANAGED_BY: MANAGER}


def listed(
    listing: Callable[..., list[dict[str, Any]]], kind: str, namespace: str, federation: str
) -> list[dict[str, Any]]:
    """Return a federation's objects of a kind that can be many or secret: only what has its labels is asked for."""
    found = [*listing(kind, namespace, labels={FEDERATION: federation})]
    earlier = listing(kind, namespace, labels=selector(federation))
    return [*found, *(item for item in earlier if FEDERATION not in (item["metadata"].get("labels") or {}))]


def is_ours(item: Object, federation: str) -> bool:
    """Tell whether a top-level object is a federation's."""
    labels = item.get("metadata", {}).get("labels") or {}
    if FEDERATION in labels:
        return bool(labels[FEDERATION] == federation)
    return all(labels.get(key) == value for key, value in selector(federation).items())


def find(listing: Listing, namespace: str, federation: str) -> Belongings:
    """Return what of a federation is in a namespace."""
    statefulsets, deployments = (list(listing(kind, namespace)) for kind in ("StatefulSet", "Deployment"))
    replicasets: list[Object] | None = []
    if any(is_ours(item, federation) for item in deployments):
        try:
            replicasets = list(listing("ReplicaSet", namespace))
        except ClusterForbidden:
            replicasets = None
    return sort(federation, statefulsets, deployments, replicasets, list(listing("Pod", namespace)))


def sort(
    federation: str,
    statefulsets: Iterable[Object],
    deployments: Iterable[Object],
    replicasets: Iterable[Object] | None,
    pods: Iterable[Object],
) -> Belongings:
    """Return which of a namespace's objects are a federation's; without ReplicaSets they are known by their names."""
    statefulsets, deployments, pods = list(statefulsets), list(deployments), list(pods)
    sets = [item for item in statefulsets if is_ours(item, federation)]
    ours = [item for item in deployments if is_ours(item, federation)]
    made = owned_by(ours, replicasets or ())
    mine = owned_by([*sets, *made], pods)
    if replicasets is None:
        mine += [pod for pod in pods if _by_name(pod, ours)]
    others = [item for item in (*deployments, *statefulsets) if _is_foreign_superlink(item)]
    return Belongings(sets, ours, made, mine, others)


def owned_by(owners: Iterable[Object], items: Iterable[Object]) -> list[Object]:
    """Return the items that one of some objects controls."""
    uids = {text(owner, "metadata", "uid") for owner in owners} - {""}
    return [item for item in items if text(controller(item), "uid") in uids]


def _by_name(pod: Object, deployments: Iterable[Object]) -> bool:
    """Tell whether a Pod's ReplicaSet is called as one of some Deployments' is.

    It is called after the Deployment and the hash of its Pods' template, which they have as a label too
    (k8s.io/kubernetes, pkg/controller/deployment/sync.go, `getNewReplicaSet`).
    """
    owner, suffix = controller(pod), text(pod, "metadata", "labels", "pod-template-hash")
    names = {f"{text(item, 'metadata', 'name')}-{suffix}" for item in deployments}
    return bool(suffix) and text(owner, "kind") == "ReplicaSet" and text(owner, "name") in names


def _is_foreign_superlink(workload: Object) -> bool:
    labels = workload.get("metadata", {}).get("labels") or {}
    if FEDERATION in labels or labels.get(MANAGED_BY) == MANAGER:
        return False
    return any(_is_superlink(container) for container in objects(workload, "spec", "template", "spec", "containers"))


def _is_superlink(container: Object) -> bool:
    repository = text(container, "image").partition("@")[0].rpartition("/")[2].partition(":")[0]
    words = [*strings(container, "command"), *strings(container, "args")]
    return repository == "superlink" or any(word.rpartition("/")[2] == SUPERLINK for word in words)
