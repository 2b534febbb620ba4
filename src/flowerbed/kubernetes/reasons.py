"""Why a federation is not ready: from what the API server says to one sentence per problem. Pure, but for `gather`.

Never silent about a cause and never loud about its consequences: a Pod that waits for a claim is not mentioned where
the claim is, the same trouble of 200 Pods is told once, and what is over is not told at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from flowerbed.errors import ClusterRefused
from flowerbed.kubernetes import belonging
from flowerbed.kubernetes.explain import claims, pods, workloads
from flowerbed.kubernetes.explain.model import Kind, Reason, Seen
from flowerbed.kubernetes.explain.reading import Object, at, controller, is_ready, name, number, text

__all__ = ["Kind", "Reason", "Seen", "gather", "problems"]

OPTIONAL = ("Event", "ResourceQuota", "PersistentVolumeClaim", "ReplicaSet")
"""Kinds without which less can be said, but something: a user who may not list them is told the rest."""


def gather(
    listing: Callable[..., Iterable[Mapping[str, Any]]],
    namespace: str,
    federation: str,
    *,
    now: datetime | None = None,
    logs: Mapping[str, str] | None = None,
) -> Seen:
    """Return what `problems` needs of a federation that is to live: finished Jobs and their Pods are left out.

    Parameters
    ----------
    listing : callable
        Takes kind, namespace and the labels to have; `Cluster.listing`.
    namespace : str
        The federation's namespace.
    federation : str
        Its name.
    now : datetime or None
        The time; the clock's if it is left out.
    logs : mapping of str to str or None
        ``POD/CONTAINER`` → its last lines, where they were fetched.
    """

    def listed(kind: str, wanted: Mapping[str, str] | None = None) -> list[Mapping[str, Any]]:
        try:
            return list(listing(kind, namespace, labels=wanted))
        except ClusterRefused:
            if kind in OPTIONAL:
                return []
            raise

    jobs = [job for job in listed("Job", belonging.selector(federation)) if not workloads.is_finished(job)]
    everyones = listed("Pod")
    found = belonging.sort(
        federation, listed("StatefulSet"), listed("Deployment"), listed("ReplicaSet") or None, everyones
    )
    return Seen(
        pods=[*found.pods, *belonging.owned_by(jobs, everyones)],
        statefulsets=found.statefulsets,
        deployments=found.deployments,
        replicasets=found.replicasets,
        jobs=jobs,
        # Claims have the labels of their makers, and events and quotas none.
        claims=listed("PersistentVolumeClaim"),
        events=listed("Event"),
        quotas=listed("ResourceQuota"),
        logs=logs or {},
        now=now or datetime.now(UTC),
    )


def problems(seen: Seen) -> list[Reason]:
    """Return what keeps a federation from being ready: what waiting does not cure first, then causes first."""
    if terminating := _namespace(seen.namespace):
        return [terminating]
    of_claims = _claims(seen)
    told_claims = {found.subject for found in of_claims}
    found = [*of_claims, *workloads.not_created(seen), *workloads.failed_jobs(seen)]
    for pod in seen.pods:
        reason = pods.explain(pod, seen) if _counts(pod, seen) else None
        if reason is None or (reason.kind in _OF_CLAIMS and told_claims.intersection(claims.used_by(pod))):
            continue
        found.append(_beside_its_set(reason, pod, seen))
    return grouped(found or workloads.no_progress(seen))


_OF_CLAIMS = (Kind.CLAIM_PENDING, Kind.UNSCHEDULABLE)


def grouped(found: Iterable[Reason]) -> list[Reason]:
    """Return reasons in their order, each said once, with all whom it concerns."""
    once: dict[tuple[Kind, str, bool], Reason] = {}
    for reason in sorted(found, key=lambda item: item.order):
        key = (reason.kind, reason.message, reason.fatal)
        if (first := once.get(key)) is None:
            once[key] = reason
        elif reason.subject != first.subject and reason.subject not in first.others:
            once[key] = replace(first, others=(*first.others, reason.subject))
    return list(once.values())


def _namespace(item: Object | None) -> Reason | None:
    if text(item, "status", "phase") != "Terminating" and not at(item, "metadata", "deletionTimestamp"):
        return None
    return Reason(
        name(item),
        Kind.NAMESPACE_TERMINATING,
        "the namespace is being deleted",
        "Wait until it is gone (`kubectl get namespace`), or choose another metadata.namespace.",
        fatal=True,
    )


def _claims(seen: Seen) -> list[Reason]:
    used = {claim for pod in seen.pods for claim in claims.used_by(pod)}
    found = (claims.explain(claim, seen.events) for claim in seen.claims if name(claim) in used)
    return [reason for reason in found if reason is not None]


def _counts(pod: Object, seen: Seen) -> bool:
    """Tell whether a Pod matters: one that failed and was replaced, or that its owner no longer wants, does not."""
    uid = text(controller(pod), "uid")
    owner = next(
        (item for item in (*seen.replicasets, *seen.statefulsets) if uid and text(item, "metadata", "uid") == uid), None
    )
    if owner is None:
        return True
    wanted = number(owner, "spec", "replicas")
    if wanted == 0:
        return False
    if text(pod, "status", "phase") != "Failed" or wanted is None:
        return True
    ready = sum(1 for other in seen.pods if text(controller(other), "uid") == uid and is_ready(other))
    return ready < wanted


def _beside_its_set(reason: Reason, pod: Object, seen: Seen) -> Reason:
    """Return a Pod's reason as it stands when its StatefulSet has a newer spec already."""
    treatment = workloads.held_by_old_pod(pod, seen.statefulsets)
    if treatment == "replaces":
        return replace(reason, fatal=False)
    if treatment == "waits":
        namespace = text(pod, "metadata", "namespace")
        hint = (
            "This Pod still has the earlier spec, and its StatefulSet waits for it before it makes the new one:"
            f" `kubectl delete pod{f' -n {namespace}' if namespace else ''} {name(pod)}` lets it go on."
        )
        return replace(reason, hint=hint)
    return reason
