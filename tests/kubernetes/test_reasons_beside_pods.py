"""What is said of claims without a volume, of Pods that are not even made, and of Jobs."""

from __future__ import annotations

from typing import Any

import pytest

from flowerbed.kubernetes.reasons import Kind, Reason, Seen, problems
from kubernetes.seen_objects import (
    BORN,
    LATER,
    PREFIX,
    QUOTA,
    READY,
    SECURITY,
    claim,
    ended,
    event,
    failed_job,
    kind_of,
    mounts,
    only,
    pod,
    unscheduled,
    workload,
)


class TestClaims:
    UNBOUND = "0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found"

    def superlink(self, message: str = UNBOUND) -> dict[str, Any]:
        return unscheduled(message, name="flower-superlink-0", spec=mounts("data-flower-superlink-0"))

    def test_a_missing_storage_class_is_told_at_the_claim_and_not_again_at_the_pod(self) -> None:
        failed = event(claim(), "ProvisioningFailed", 'storageclass.storage.k8s.io "golden" not found')
        found = only(Seen(pods=[self.superlink()], claims=[claim()], events=[failed]))
        assert str(found) == (
            "data-flower-superlink-0: the cluster has no StorageClass golden, which this claim asks for"
        )
        assert found.fatal
        assert "kubectl delete pvc data-flower-superlink-0" in str(found.hint)

    def test_no_default_storage_class(self) -> None:
        message = "no persistent volumes available for this claim and no storage class is set"
        failed = event(claim(), "FailedBinding", message, kind="Normal")
        found = only(Seen(pods=[self.superlink()], claims=[claim()], events=[failed]))
        assert (found.kind, found.fatal) == (Kind.NO_STORAGE_CLASS, True)

    def test_waiting_for_the_pod_is_no_trouble(self) -> None:
        message = "waiting for first consumer to be created before binding"
        waits = event(claim(), "WaitForFirstConsumer", message, kind="Normal")
        one = pod("flower-superlink-0", spec=mounts("data-flower-superlink-0"))
        assert problems(Seen(pods=[one], claims=[claim()], events=[waits])) == []

    def test_the_newest_word_on_a_claim_counts(self) -> None:
        waits = event(claim(), "WaitForFirstConsumer", "waiting for first consumer", at=BORN, kind="Normal")
        failed = event(claim(), "ProvisioningFailed", "failed to provision volume: out of disks", at=LATER)
        found = only(Seen(pods=[self.superlink()], claims=[claim()], events=[failed, waits]))
        assert (found.kind, found.fatal) == (Kind.CLAIM_PENDING, False)
        assert "out of disks" in found.message

    def test_a_claim_that_is_not_there(self) -> None:
        message = '0/2 nodes are available: persistentvolumeclaim "chest-scans" not found. not found'
        found = only(Seen(pods=[self.superlink(message)]))
        assert (found.message, found.kind) == ("there is no claim chest-scans", Kind.CLAIM_MISSING)

    def test_a_claim_whose_volume_is_gone(self) -> None:
        found = only(Seen(pods=[self.superlink()], claims=[claim(phase="Lost")]))
        assert (found.kind, found.fatal) == (Kind.CLAIM_PENDING, True)

    def test_without_a_look_at_claims_the_scheduler_has_to_do(self) -> None:
        assert kind_of(self.superlink()) == (Kind.CLAIM_PENDING, False)

    def test_other_peoples_claims_are_left_alone(self) -> None:
        failed = event(claim("theirs"), "ProvisioningFailed", 'storageclass.storage.k8s.io "x" not found')
        assert problems(Seen(pods=[pod("a", conditions=READY)], claims=[claim("theirs")], events=[failed])) == []


class TestPodsThatAreNotLetIn:
    def of(self, message: str, **status: Any) -> Reason:
        pool = workload("StatefulSet", **status)
        return only(Seen(statefulsets=[pool], events=[event(pool, "FailedCreate", message)]))

    def test_quota(self) -> None:
        found = self.of(PREFIX + QUOTA)
        assert str(found) == (
            "flower-hospital: the quota small of the namespace leaves no room: limits.memory=2Gi, requests.cpu=2 asked"
            " for, limits.memory=0, requests.cpu=0 in use, limits.memory=1Gi, requests.cpu=1 allowed"
        )
        assert (found.kind, found.fatal) == (Kind.QUOTA, True)

    def test_a_quota_that_was_raised_since_is_tried_again_by_and_by(self) -> None:
        pool = workload("StatefulSet")
        failed = event(pool, "FailedCreate", PREFIX + QUOTA)

        def fatal(hard: dict[str, str], name: str = "small") -> bool:
            quota = {"kind": "ResourceQuota", "metadata": {"name": name}, "status": {"hard": hard}}
            return only(Seen(statefulsets=[pool], events=[failed], quotas=[quota])).fatal

        assert fatal({"limits.memory": "1Gi", "requests.cpu": "1"})
        assert not fatal({"limits.memory": "8Gi", "requests.cpu": "8"})
        assert not fatal({"pods": "1"}, name="another")

    def test_a_quota_that_wants_every_resource_named(self) -> None:
        found = self.of(PREFIX + "failed quota: small: must specify limits.memory for: unit; requests.cpu for: unit")
        assert found.kind is Kind.QUOTA
        assert found.message.endswith(
            "demands that every container says limits.memory for: unit; requests.cpu for: unit"
        )

    @pytest.mark.parametrize(
        ("message", "sentence", "field"),
        [
            ("no PriorityClass with name high was found", "the cluster has no PriorityClass high", "priorityClassName"),
            (
                'pods "a-0" is forbidden: pod rejected: RuntimeClass "nvidia" not found',
                "the cluster has no RuntimeClass nvidia",
                "runtimeClassName",
            ),
        ],
    )
    def test_a_class_that_the_file_names_and_nobody_made(self, message: str, sentence: str, field: str) -> None:
        found = self.of(PREFIX + message)
        assert (found.message, found.kind, found.fatal) == (sentence, Kind.NOT_CREATED, True)
        assert f"Correct {field} in the file" in str(found.hint)

    def test_limit_range(self) -> None:
        found = self.of(
            PREFIX + "[minimum memory usage per Container is 64Mi, but request is 1Mi, maximum cpu usage per Container"
            " is 1, but limit is 2]"
        )
        assert found.kind is Kind.LIMIT_RANGE
        assert found.message == (
            "a LimitRange of the namespace is in the way: each Container may have at least 64Mi of memory, and the"
            " request is 1Mi; each Container may have at most 1 of cpu, and the limit is 2"
        )

    def test_pod_security(self) -> None:
        found = self.of(PREFIX + SECURITY)
        assert found.kind is Kind.POD_SECURITY
        assert found.message.startswith(
            'the namespace enforces Pod Security "restricted", which this breaks: allowPriv'
        )

    @pytest.mark.parametrize(
        ("message", "sentence", "fatal"),
        [
            (
                'admission webhook "validate.kyverno.svc-fail" denied the request: images must be signed',
                "the cluster's admission webhook validate.kyverno.svc-fail does not allow it: images must be signed",
                True,
            ),
            (
                "ValidatingAdmissionPolicy 'no-latest' with binding 'all' denied request: no :latest",
                "the cluster's policy no-latest does not allow it: no :latest",
                True,
            ),
            (
                (
                    'Internal error occurred: failed calling webhook "x.example": failed to call webhook: Post'
                    ' "https://x.svc:443/": no endpoints available for service "x"'
                ),
                (
                    "the cluster's admission webhook x.example fails: failed to call webhook: Post"
                    ' "https://x.svc:443/": no endpoints available for service "x"'
                ),
                False,
            ),
        ],
    )
    def test_webhooks_and_policies(self, message: str, sentence: str, fatal: bool) -> None:
        found = self.of(f"create Pod a-0 in StatefulSet a failed error: {message}")
        assert (found.message, found.fatal) == (sentence, fatal)
        assert found.kind is Kind.DENIED

    def test_a_namespace_on_its_way_out(self) -> None:
        found = self.of(PREFIX + "unable to create new content in namespace hospitals because it is being terminated")
        assert found.kind is Kind.NAMESPACE_TERMINATING

    def test_what_nobody_knows_is_told_without_what_changes_each_time(self) -> None:
        found = self.of('Error creating: pods "j-696r4" is forbidden: the moon is full')
        assert found.message == "its Pods cannot be made: the moon is full"

    def test_a_deployments_replicaset_says_it_itself(self) -> None:
        replicaset = workload("ReplicaSet", "flower-superexec-serverapp-779dbb689c", replicas=1)
        replicaset["metadata"]["ownerReferences"] = [{"name": "flower-superexec-serverapp", "controller": True}]
        message = f'pods "flower-superexec-serverapp-779dbb689c-xr6td" is forbidden: {QUOTA}'
        state = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}
        replicaset["status"] = {"replicas": 0, "conditions": [state]}
        found = only(Seen(replicasets=[replicaset]))
        assert (found.subject, found.kind) == ("flower-superexec-serverapp", Kind.QUOTA)

    def test_a_jobs_pod(self) -> None:
        job = workload("Job", "flower-run-1")
        failed = event(job, "FailedCreate", f'Error creating: pods "flower-run-1-x" is forbidden: {QUOTA}')
        assert only(Seen(jobs=[job], events=[failed])).kind is Kind.QUOTA

    def test_pods_that_are_there_after_all_are_no_trouble(self) -> None:
        pool = workload("StatefulSet", replicas=1, readyReplicas=1)
        failed = event(pool, "FailedCreate", PREFIX + QUOTA)
        ready = pod("flower-hospital-0", conditions=READY, phase="Running")
        assert problems(Seen(statefulsets=[pool], pods=[ready], events=[failed])) == []

    def test_what_failed_before_the_spec_was_changed_is_over(self) -> None:
        pool = workload("StatefulSet", changed=LATER)
        failed = event(pool, "FailedCreate", PREFIX + SECURITY, at="2026-11-24T15:13:00Z")
        assert problems(Seen(statefulsets=[pool], events=[failed])) == []


class TestJobs:
    def test_the_pods_exit_status_says_more_than_the_limit(self) -> None:
        job = failed_job("BackoffLimitExceeded", "Job has reached the specified backoff limit")
        over = {"name": "submit", "state": {"terminated": ended(5)}}
        one = pod("flower-run-1-x", over, phase="Failed", owner="Job")
        found = problems(Seen(jobs=[job], pods=[one]))
        assert str(found[0]) == "flower-run-1: the Job's Pod failed with exit status 5 and may not be tried again"

    def test_deadline(self) -> None:
        job = failed_job("DeadlineExceeded", "Job was active longer than specified deadline")
        job["spec"]["activeDeadlineSeconds"] = 600
        assert str(only(Seen(jobs=[job]))) == "flower-run-1: the Job took longer than its 600 s"
