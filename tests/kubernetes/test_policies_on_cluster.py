"""NetworkPolicies in a real cluster with a program that enforces them: who reaches what, cell by cell.

The same cells are computed from the rendered policies in `test_network`, always; here they are tried, where
``FLOWERBED_POLICY_ENFORCER`` names a program (see tests/cluster/README.md).
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from cluster import Cluster
from cluster.harness import POLICY_ENFORCER
from cluster.pods import create, pod, until_ready, web_server
from flowerbed.kubernetes.reach import Pod, allowed
from flowerbed.kubernetes.run_records import run_labels
from kubernetes.beds import ClusterBed, Make

pytestmark = [
    pytest.mark.flower,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        POLICY_ENFORCER not in os.environ, reason=f"{POLICY_ENFORCER} names no program that enforces NetworkPolicies"
    ),
]

HEALTH, PROXY_HEALTH, WEB = 9990, 9991, 8000
ACCESS = """\
  access: [{namespaceSelector: {matchLabels: {team: imaging}}, podSelector: {matchLabels: {app: notebook}}}]
  serverapp:
    egress: [{namespaceSelector: {matchLabels: {team: imaging}}, podSelector: {matchLabels: {app: web}}, ports: [{port: 8000}]}]
"""  # fmt: skip # noqa: E501

TRIES = """
import json, socket, sys, threading
found = {}
def attempt(name, host, port):
    try:
        socket.create_connection((host, port), 4).close()
        found[name] = True
    except OSError:
        found[name] = False
threads = [threading.Thread(target=attempt, args=one) for one in json.loads(sys.stdin.read())]
for one in threads: one.start()
for one in threads: one.join()
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Place:
    """A Pod in the cluster."""

    namespace: str
    name: str
    address: str
    seen: Pod


@pytest.fixture
def lab(cluster: Cluster) -> Iterator[str]:
    """A namespace with the label that the file lets in, and Pods that have theirs or not."""
    name = f"lab-{secrets.token_hex(3)}"
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"team": "imaging"}}}
    cluster.kubectl("create", "--filename", "-", input=json.dumps(namespace))
    create(cluster, name, web_server("web"), *(pod(one, "exec sleep 3600") for one in ("notebook", "stranger")))
    until_ready(cluster, name, "web", "notebook", "stranger")
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


def place(cluster: Cluster, namespace: str, name: str) -> Place:
    found = json.loads(cluster.kubectl("--namespace", namespace, "get", "pod", name, "--output", "json"))
    labels = json.loads(cluster.kubectl("get", "namespace", namespace, "--output", "json"))["metadata"]["labels"]
    ports = {
        port["name"]: port["containerPort"]
        for container in found["spec"]["containers"]
        for port in container.get("ports", [])
        if "name" in port
    }
    seen = Pod(found["metadata"].get("labels", {}), namespace, labels, ports)
    return Place(namespace, name, found["status"]["podIP"], seen)


@pytest.mark.parametrize("release", ["1.22.0", "1.42.0"])
def test_every_cell_of_the_matrix(cluster_bed: Make, lab: str, release: str) -> None:
    bed = cluster_bed("slow")
    bed.write(release, more=ACCESS)
    assert bed("up").status == 0
    run = pod("as-a-run", "exec sleep 3600", image=f"flwr/superexec:{release}")
    run["metadata"]["labels"] = run_labels("test", 7)
    neighbour = pod("neighbour", "exec sleep 3600", image=f"flwr/superexec:{release}")
    create(bed.cluster, bed.namespace, run, neighbour)
    until_ready(bed.cluster, bed.namespace, "as-a-run", "neighbour")
    serverapp = next(name for name in bed.pods() if "serverapp" in name)
    inside = ("test-superlink-0", "test-site-0", serverapp, "as-a-run", "neighbour")
    places = {name: place(bed.cluster, bed.namespace, name) for name in inside}
    places |= {name: place(bed.cluster, lab, name) for name in ("web", "notebook", "stranger")}
    doors = sorted({number for name, number in places["test-superlink-0"].seen.ports.items() if "health" not in name})
    assert len(doors) == 3
    cells = [
        *(("test-superlink-0", port) for port in (*doors, HEALTH, PROXY_HEALTH)),
        *((name, HEALTH) for name in ("test-site-0", serverapp)),
        ("web", WEB),
    ]
    policies = json.loads(bed.kubectl("get", "networkpolicies", "--output", "json"))["items"]
    for policy in policies:
        policy["kind"] = "NetworkPolicy"
    expected = {
        (source, target, port): allowed(policies, places[source].seen, places[target].seen, port)
        for source in places
        for target, port in cells
        if source != target
    }
    sources = [
        name for name in places if name != "test-superlink-0"
    ]  # which has no reason to dial, and no shell of ours
    tried = {
        (source, target, port): reached
        for source in sources
        for (target, port), reached in tries(bed, places, source, [cell for cell in cells if cell[0] != source]).items()
    }
    bed.kubectl("delete", "pod", "as-a-run", "--now")  # no Job of ours would take it away with the federation
    assert tried == {cell: reached for cell, reached in expected.items() if cell[0] in sources}
    # Not only is it as computed: those few get through, and nobody else does.
    fleet = doors[0] if release.startswith("1.42") else doors[1]
    runtime = doors[1] if release.startswith("1.42") else doors[0]
    assert {cell for cell, reached in tried.items() if reached} == {
        ("test-site-0", "test-superlink-0", fleet),
        (serverapp, "test-superlink-0", runtime),
        (serverapp, "web", WEB),
        ("as-a-run", "test-superlink-0", 9093),
        ("notebook", "test-superlink-0", 9093),
        *((other, "web", WEB) for other in ("notebook", "stranger", "neighbour")),  # they are not ours to hold back
    }
    said = bed("run", "--run-config", "seconds=0.1 num-server-rounds=1")
    assert said.last("run")["verdict"] == "succeeded"


def tries(
    bed: ClusterBed, places: dict[str, Place], source: str, cells: list[tuple[str, int]]
) -> dict[tuple[str, int], bool]:
    """Try connections from a Pod, all at once; return which came about."""
    asked = [[f"{target} {port}", places[target].address, port] for target, port in cells]
    here = places[source]
    found = bed.cluster.kubectl(
        *("--namespace", here.namespace, "exec", "--stdin", here.name, "--", "python", "-c", TRIES),
        input=json.dumps(asked),
    )
    return {(name.split()[0], int(name.split()[1])): reached for name, reached in json.loads(found).items()}
