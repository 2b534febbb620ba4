"""What is said of a federation that does not get ready: the worst first, and nothing of what is over."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowerbed.errors import ClusterRefused, ClusterUnreachable
from flowerbed.kubernetes.labels import FEDERATION
from flowerbed.kubernetes.reasons import Kind, Seen, gather, problems
from kubernetes.seen_objects import (
    BORN,
    EARLIER,
    LATER,
    NOT_FOUND,
    NOT_READY,
    PREFIX,
    QUOTA,
    claim,
    crash_loop,
    ended,
    event,
    failed_job,
    mounts,
    only,
    pod,
    running,
    unscheduled,
    waiting,
    workload,
)

NOW = datetime(2026, 11, 24, 15, 14, 10, tzinfo=UTC)


class TestOldEvents:
    def test_those_of_an_earlier_pod_of_the_same_name_do_not_mislead(self) -> None:
        forebear = pod("a")
        forebear["metadata"]["uid"] = "another"
        old = event(forebear, "FailedMount", 'MountVolume.SetUp failed for volume "v" : secret "x" not found')
        assert problems(Seen(pods=[pod("a", waiting("ContainerCreating"))], events=[old])) == []

    def test_nor_those_without_an_id_that_are_older_than_the_pod(self) -> None:
        one = pod("a", waiting("ContainerCreating"))
        old = event(one, "FailedMount", 'MountVolume.SetUp failed for volume "v" : secret "x" not found', at=EARLIER)
        del old["involvedObject"]["uid"]
        assert problems(Seen(pods=[one], events=[old])) == []
        young = old | {"lastTimestamp": LATER}
        assert only(Seen(pods=[one], events=[young])).kind is Kind.CONFIGURATION_MISSING

    def test_the_schedulers_events_have_their_time_elsewhere(self) -> None:
        one = unscheduled("0/1 nodes are available: 1 Insufficient cpu.")
        scaling = event(one, "TriggeredScaleUp", "x", kind="Normal") | {
            "firstTimestamp": None,
            "lastTimestamp": None,
            "eventTime": "2026-11-24T15:12:21.123456Z",
        }
        assert not only(Seen(pods=[one], events=[scaling])).fatal


class TestTheWhole:
    def test_a_namespace_on_its_way_out_explains_everything(self) -> None:
        ending = {"metadata": {"name": "hospitals", "deletionTimestamp": BORN}, "status": {"phase": "Terminating"}}
        found = only(Seen(pods=[pod("a", crash_loop(1))], namespace=ending))
        assert str(found) == "hospitals: the namespace is being deleted"

    def test_what_waiting_does_not_cure_comes_first_and_causes_before_consequences(self) -> None:
        pods = [
            pod("a", running(), phase="Running"),
            pod("b", crash_loop(1)),
            pod("c", waiting("InvalidImageName")),
        ]
        assert [found.subject for found in problems(Seen(pods=pods))] == ["c", "b", "a"]

    def test_nothing_is_wrong_with_nothing(self) -> None:
        assert problems(Seen()) == []

    def test_a_deployment_that_kubernetes_gave_up_on_is_told_for_want_of_anything_better(self) -> None:
        state = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
        stalled = workload("Deployment", conditions=[state])
        assert only(Seen(deployments=[stalled])).kind is Kind.NO_PROGRESS
        assert only(Seen(deployments=[stalled], pods=[pod("b", crash_loop(1))])).kind is Kind.CRASH_LOOP


class TestGathering:
    def listing(self, **kinds: list[dict[str, Any]]) -> Any:
        def listed(kind: str, namespace: str, *, labels: Any = None) -> list[dict[str, Any]]:
            assert namespace == "hospitals"
            self.asked[kind] = labels
            return kinds.get(kind, [])

        self.asked: dict[str, Any] = {}
        return listed

    def test_finished_jobs_and_their_pods_are_history(self) -> None:
        job = failed_job("BackoffLimitExceeded", "")
        over = pod("flower-run-1-x", phase="Failed", owner="Job")
        seen = gather(self.listing(Job=[job], Pod=[over]), "hospitals", "flower")
        assert problems(seen) == []

    def test_claims_events_and_quotas_have_no_labels_of_ours(self) -> None:
        gather(self.listing(), "hospitals", "flower")
        assert {"PersistentVolumeClaim", "Event", "ResourceQuota"} <= {
            kind for kind, labels in self.asked.items() if labels is None
        }

    def test_what_may_not_be_listed_is_done_without(self) -> None:
        def listed(kind: str, namespace: str, *, labels: Any = None) -> list[dict[str, Any]]:
            if kind in ("Event", "ResourceQuota", "PersistentVolumeClaim", "ReplicaSet"):
                raise ClusterRefused("no")
            pool = workload("StatefulSet")
            pool["metadata"]["labels"] = {FEDERATION: "flower"}
            return {"StatefulSet": [pool], "Pod": [pod("a", crash_loop(1))]}.get(kind, [])

        assert [found.kind for found in problems(gather(listed, "hospitals", "flower"))] == [Kind.CRASH_LOOP]

    def test_but_a_cluster_that_is_away_is_told(self) -> None:
        def listed(kind: str, namespace: str, *, labels: Any = None) -> list[dict[str, Any]]:
            raise ClusterUnreachable("gone")

        with pytest.raises(ClusterUnreachable):
            gather(listed, "hospitals", "flower")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("2026-11-24T15:14:04Z"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)

_POOL = workload("StatefulSet", updateRevision="b")
_POD = pod("a", crash_loop(3), spec=mounts("data-flower-superlink-0"), labels={"controller-revision-hash": "a"})
SAMPLES: dict[str, list[dict[str, Any]]] = {
    "pods": [
        _POD,
        pod("b", waiting("ErrImagePull", NOT_FOUND)),
        unscheduled("0/3 nodes are available: 1 Insufficient memory."),
        pod("c", waiting("ContainerCreating")),
        pod("d", phase="Failed", reason="Evicted"),
        pod("e", running(last=ended(1), restarts=3), phase="Running", conditions=NOT_READY),
    ],
    "statefulsets": [_POOL],
    "replicasets": [workload("ReplicaSet", replicas=3)],
    "deployments": [workload("Deployment", conditions=[{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}])],
    "jobs": [failed_job("BackoffLimitExceeded", "x"), workload("Job")],
    "claims": [claim()],
    "events": [
        event(_POD, "Unhealthy", "Liveness probe failed: "),
        event(_POOL, "FailedCreate", PREFIX + QUOTA),
        event(claim(), "ProvisioningFailed", 'storageclass.storage.k8s.io "golden" not found'),
    ],
    "quotas": [{"metadata": {"name": "small"}, "status": {"hard": {"requests.cpu": "1"}}}],
    "nodes": [{"metadata": {"name": "node-0"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}],
}


def places(item: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of everything inside an object."""
    entries = item.items() if isinstance(item, dict) else enumerate(item) if isinstance(item, list) else ()
    return [place for key, value in entries for place in ((*path, key), *places(value, (*path, key)))]


PLACES = places(SAMPLES)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PLACES), JSON | st.just("(gone)")), min_size=1, max_size=4))
def test_odd_and_missing_fields_never_raise(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    odd = copy.deepcopy(SAMPLES)
    for path, value in changes:
        inner: Any = odd
        try:
            for key in path[:-1]:
                inner = inner[key]
            if value == "(gone)":
                del inner[path[-1]]
            else:
                inner[path[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took it away
    seen: dict[str, Any] = {kind: items if isinstance(items, list) else [] for kind, items in odd.items()}
    found = problems(Seen(**seen, now=NOW))
    assert all(isinstance(str(reason), str) and reason.message for reason in found)


@settings(max_examples=200, deadline=None)
@given(JSON, JSON, JSON)
def test_not_even_what_is_no_object(one: Any, two: Any, three: Any) -> None:
    problems(
        Seen(pods=[one], events=[two], claims=[three], statefulsets=[two], jobs=[three], namespace=one, nodes=[two])
    )
