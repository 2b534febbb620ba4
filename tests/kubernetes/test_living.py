"""A federation is known from its objects in the cluster alone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from flowerbed.kubernetes import living
from flowerbed.kubernetes.applying import owned
from flowerbed.kubernetes.labels import COMPONENT, INSTANCE, VERSION
from flowerbed.topology.model import Role
from flowerbed_inside.launch.execution import ASKED_FOR
from kubernetes.federations import SMALL, rendered, workloads


def workload(component: str, replicas: int = 1, kind: str = "StatefulSet") -> dict[str, Any]:
    labels = {INSTANCE: "fed", COMPONENT: component, VERSION: "1.42.0"}
    return {"kind": kind, "metadata": {"name": f"fed-{component}", "labels": labels}, "spec": {"replicas": replicas}}


def pod(name: str, component: str, **status: Any) -> dict[str, Any]:
    labels = {INSTANCE: "fed", COMPONENT: component, VERSION: "1.42.0"}
    spec = {"containers": [{"name": component, "ports": [{"name": "api", "containerPort": 8000}]}]}
    owners = [{"kind": "StatefulSet", "name": f"fed-{component}", "controller": True}]
    return {
        "kind": "Pod",
        "metadata": {"name": f"fed-{name}", "uid": name, "labels": labels, "ownerReferences": owners},
        "spec": spec,
        "status": status,
    }


RUNNING = {"containerStatuses": [{"state": {"running": {}}, "restartCount": 2}], "podIP": "10.0.0.7"}
READY = RUNNING | {"conditions": [{"type": "Ready", "status": "True"}]}


def read(*pods: dict[str, Any], split: bool = False) -> living.Living:
    workloads = [workload("superlink"), workload("superexec-serverapp"), workload("supernode", 2)]
    if split:
        workloads += [
            workload("superexec-clientapp", kind="Deployment"),
            workload("superexec-clientapp", kind="Deployment"),
        ]
    return living.read("fed", "ns", workloads, pods)


def test_an_empty_namespace_has_no_federation() -> None:
    assert not living.read("fed", "ns", [], []).exists


def test_the_release_is_the_superlinks() -> None:
    assert read().release == "1.42.0"


def test_a_colocated_supernode_counts_for_its_superexec_too() -> None:
    found = read(pod("hospital-0", "supernode", **READY), pod("hospital-1", "supernode", **RUNNING))
    assert found.colocated
    assert (found.wanted(Role.SUPERNODE), found.superexecs_wanted, found.superexecs_ready) == (2, 3, 1)


def test_superexecs_of_their_own_are_counted_by_themselves() -> None:
    found = read(
        pod("supernode-0", "supernode", **READY),
        pod("superexec-clientapp-0", "superexec-clientapp", **READY),
        split=True,
    )
    assert not found.colocated
    assert (found.superexecs_wanted, found.superexecs_ready) == (3, 1)


def test_a_pod_that_was_made_by_hand_does_not_belong() -> None:
    copy = pod("copy", "supernode", **READY)
    del copy["metadata"]["ownerReferences"]
    assert [item.name for item in read(pod("supernode-0", "supernode", **READY), copy).components()] == ["supernode-0"]


def test_a_pod_on_its_way_out_no_longer_belongs() -> None:
    leaving = pod("superlink-0", "superlink", **READY)
    leaving["metadata"]["deletionTimestamp"] = "2026-11-24T12:00:00Z"
    assert read(leaving).superlink() is None
    assert read(pod("superlink-0", "superlink", **RUNNING)).superlink() is not None


def test_a_component_shows_its_state_restarts_and_addresses() -> None:
    [component] = read(pod("superlink-0", "superlink", **READY)).components()
    assert (component.name, component.state, component.restarts) == ("superlink-0", "running", 2)
    assert component.addresses == {"api": "10.0.0.7:8000"}


def test_a_crash_loop_is_told_with_its_exit_status() -> None:
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    ended = {"terminated": {"exitCode": 137}}
    status = {"containerStatuses": [{"state": waiting, "lastState": ended, "restartCount": 4}]}
    [component] = read(pod("hospital-0", "supernode", **status)).components()
    assert (component.state, component.note) == ("crash loop", "ended with exit status 137")


def test_another_incarnation_is_another_pod_or_another_start() -> None:
    first = pod("superexec-serverapp-0", "superexec-serverapp", **READY)
    restarted = pod("superexec-serverapp-0", "superexec-serverapp", **READY)
    restarted["status"] = {"containerStatuses": [{"state": {"running": {}}, "restartCount": 3}]}
    replaced = pod("superexec-serverapp-0", "superexec-serverapp", **READY)
    replaced["metadata"]["uid"] = "another"
    assert len({living.incarnation(item) for item in (first, restarted, replaced)}) == 3


def test_a_container_that_our_own_program_ended_is_told_to_runs_that_went_on() -> None:
    def ended(code: int, at: str) -> dict[str, Any]:
        return {
            "containerStatuses": [{"name": "unit", "lastState": {"terminated": {"exitCode": code, "finishedAt": at}}}]
        }

    found = read(
        pod("site-0", "supernode", **ended(70, "2030-01-01T00:00:10Z")),
        pod("site-1", "supernode", **ended(70, "2029-12-31T23:59:59Z")),
        pod("site-2", "supernode", **ended(137, "2030-01-01T00:00:10Z")),
    )
    since = datetime(2030, 1, 1, tzinfo=UTC).timestamp()
    assert found.restarted_by_us(since) == ["restarted site-0 (a run waited for it, and no reply came)"]


@pytest.mark.parametrize(
    ("status", "node", "told"),
    [
        ({"state": {"waiting": {"reason": "ContainerCreating"}}}, "node-0", True),
        ({"state": {"waiting": {"reason": "ContainerCreating"}}}, None, False),
        ({"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "restartCount": 1}, "node-0", False),
        ({"state": {"running": {}}}, "node-0", False),
    ],
)
def test_a_pod_that_never_started_waits_for_what_it_mounts(status: Any, node: str | None, told: bool) -> None:
    waiting = pod("site-0", "supernode", containerStatuses=[status])
    waiting["spec"]["nodeName"] = node
    assert living.never_started(waiting) is told


def executions(text: str, layout: str, logs: dict[str, str]) -> dict[str, tuple[str, str, str]]:
    """Return what is known of the Pods of a federation whose workloads are as they are rendered."""
    items = [owned(item, "demo", "ns", "1.42.0") for item in workloads(rendered(text, layout))]
    pods = []
    for item in items:
        one = pod("", item["metadata"]["labels"][COMPONENT], **READY)
        one["metadata"]["name"] = item["metadata"]["name"]
        pods.append(one | {"spec": item["spec"]["template"]["spec"]})
    found = living.read("demo", "ns", items, pods)
    assert {living.name(one) for one in found.telling} >= logs.keys()
    known = found.components(logs)
    return {one.name: (one.execution, one.execution_why, one.remark) for one in known}


def log(mode: str, why: str) -> str:
    """Return how a log begins in which a unit shows what its SuperExec says."""
    return f"superexec | [flowerbed: processes of apps are {mode}: {why}]\nsuperexec | more"


def test_how_apps_begin_is_what_their_superexec_says_unless_the_file_says_it() -> None:
    nothing, asked = ("", "", ""), ("Isolated", ASKED_FOR, "")
    logs = {"demo-superexec-serverapp": log("Warm", "Flower is loaded"), "demo-site": log("Isolated", "5 threads")}
    assert executions(SMALL, "Colocated", logs) == {
        "superlink": nothing,
        "superexec-serverapp": ("Warm", "Flower is loaded", ""),
        "site": ("Isolated", "5 threads", "Isolated: 5 threads"),
    }
    assert executions(SMALL + "  execution: Isolated\n", "Colocated", {}) == {
        "superlink": nothing,
        "superexec-serverapp": asked,
        "site": asked,
    }
    own = "Isolated", "layout: Quickstart has Flower's own programs alone"
    assert executions(SMALL, "Quickstart", {}) == {
        "superlink": nothing,
        "superexec-serverapp": (*own, ": ".join(own)),
        **{f"site-{number}": nothing for number in (0, 1)},
        **{f"superexec-clientapp-{number}": (*own, ": ".join(own)) for number in (0, 1)},
    }
