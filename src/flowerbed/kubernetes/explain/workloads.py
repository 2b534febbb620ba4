"""Workloads that have fewer Pods than they shall have, because these are not let in; and Jobs that failed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from flowerbed.kubernetes.explain import admission, events
from flowerbed.kubernetes.explain.images import shorten
from flowerbed.kubernetes.explain.model import Kind, Reason, Seen
from flowerbed.kubernetes.explain.reading import Object, at, condition, controller, name, number, objects, text

CREATING = ("FailedCreate", "SuccessfulCreate")
"""k8s.io/kubernetes, pkg/controller/controller_utils.go and pkg/controller/statefulset/stateful_pod_control.go."""

_PREFIX = re.compile(r'.*?(?:failed error: |Error creating: )(?:pods "[^"]*" is forbidden: )?', re.DOTALL)
"""What differs from one attempt to the next, and is no cause."""


def is_finished(job: Object) -> bool:
    """Tell whether a Job is complete or failed."""
    return any(text(condition(job, kind), "status") == "True" for kind in ("Complete", "Failed"))


def not_created(seen: Seen) -> list[Reason]:
    """Return why Pods of the workloads are not made."""
    kinds = (("StatefulSet", seen.statefulsets), ("ReplicaSet", seen.replicasets), ("Job", seen.jobs))
    return [found for kind, items in kinds for item in items if (found := _not_created(kind, item, seen)) is not None]


def _not_created(kind: str, item: Object, seen: Seen) -> Reason | None:
    if not _lacks_pods(kind, item, seen.pods):
        return None
    said = ""
    if kind == "ReplicaSet" and text(failure := condition(item, "ReplicaFailure"), "status") == "True":
        said = text(failure, "message")  # it is taken away again as soon as it is no longer so
    if not said:
        told = events.since(events.of(item, seen.events, *CREATING, kind=kind), events.changed_at(item))
        failures = [event for event in told if text(event, "reason") == "FailedCreate"]
        if not failures:
            return None
        said = text(failures[0], "message")
    subject = text(controller(item), "name") or name(item)
    refusal = admission.explain(said)
    if refusal is None:
        cause = _PREFIX.sub("", said)
        return Reason(subject, Kind.NOT_CREATED, f"its Pods cannot be made: {shorten(cause)}")
    found = Reason(subject, refusal.kind, refusal.message, refusal.hint, refusal.fatal)
    return _quota_of_today(found, refusal, seen)


def _lacks_pods(kind: str, item: Object, pods: Sequence[Object]) -> bool:
    if kind == "Job":
        started = (number(item, "status", "active") or 0) + (number(item, "status", "succeeded") or 0)
        return not is_finished(item) and not started and at(item, "spec", "suspend") is not True
    wanted = number(item, "spec", "replicas")
    wanted = 1 if wanted is None else wanted
    uid = text(item, "metadata", "uid")
    if uid and pods:
        mine = sum(1 for pod in pods if text(controller(pod), "uid") == uid)
        return mine < wanted
    return (number(item, "status", "replicas") or 0) < wanted


def _quota_of_today(found: Reason, refusal: admission.Refusal, seen: Seen) -> Reason:
    """Return the reason as it stands after what happened to the quota, and to the Pods that use it."""
    if refusal.kind is not Kind.QUOTA or not found.fatal:
        return found
    if any(at(pod, "metadata", "deletionTimestamp") for pod in seen.pods):
        return replace(found, fatal=False)
    if not refusal.limited or not seen.quotas:
        return found
    quota = next((item for item in seen.quotas if name(item) == refusal.quota), None)
    if quota is None:
        return replace(found, fatal=False)
    hard = at(quota, "status", "hard")
    then = dict(part.split("=", 1) for part in refusal.limited.split(",") if "=" in part)
    changed = any(at(hard, resource) not in (None, quantity) for resource, quantity in then.items())
    return replace(found, fatal=False) if changed else found


def failed_jobs(seen: Seen) -> list[Reason]:
    """Return why Jobs failed (k8s.io/api, batch/v1/types.go, `JobReason…`)."""
    found = []
    for job in seen.jobs:
        failure = condition(job, "Failed")
        if text(failure, "status") != "True":
            continue
        reason, message = text(failure, "reason"), text(failure, "message")
        if reason == "DeadlineExceeded":
            limit = number(job, "spec", "activeDeadlineSeconds")
            said = f"the Job took longer than {f'its {limit} s' if limit else 'it may'}"
        elif reason == "BackoffLimitExceeded":
            said = f"the Job's Pod failed{_exit_status(job, seen.pods)} and may not be tried again"
        else:
            said = f"the Job failed: {shorten(message or reason or 'no reason is given')}"
        found.append(Reason(name(job), Kind.JOB_FAILED, said, "The log of its Pod says more.", fatal=True))
    return found


def _exit_status(job: Object, pods: Sequence[Object]) -> str:
    uid = text(job, "metadata", "uid")
    codes = [
        code
        for pod in pods
        if uid and text(controller(pod), "uid") == uid
        for status in objects(pod, "status", "containerStatuses")
        if (code := number(status, "state", "terminated", "exitCode"))
    ]
    return f" with exit status {codes[-1]}" if codes else ""


def no_progress(seen: Seen) -> list[Reason]:
    """Return the Deployments that Kubernetes itself has given up on, for want of a better reason."""
    return [
        Reason(name(item), Kind.NO_PROGRESS, "its Pods have made no progress for longer than Kubernetes waits")
        for item in seen.deployments
        if text(condition(item, "Progressing"), "reason") == "ProgressDeadlineExceeded"
    ]


def held_by_old_pod(pod: Object, statefulsets: Sequence[Object]) -> str:
    """Return how a StatefulSet treats a broken Pod that still has an earlier spec: ``waits``, ``replaces``, or empty.

    One that makes its Pods in order waits for the broken Pod before it would replace it (kubernetes.io,
    "StatefulSets", "Forced rollback"; k8s.io/kubernetes, pkg/controller/statefulset/stateful_set_control.go); with
    ``podManagementPolicy: Parallel`` it is replaced.
    """
    uid = text(controller(pod), "uid")
    owner = next((item for item in statefulsets if uid and text(item, "metadata", "uid") == uid), None)
    newest = text(owner, "status", "updateRevision")
    mine = text(pod, "metadata", "labels", "controller-revision-hash")
    if not newest or not mine or newest == mine:
        return ""
    return "replaces" if text(owner, "spec", "podManagementPolicy") == "Parallel" else "waits"
