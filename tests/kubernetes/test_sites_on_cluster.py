"""A site in a cluster: its kit is applied in a namespace of its own, and it dials the one port that is shown."""

from __future__ import annotations

import secrets
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cluster import Cluster, KubectlFailed
from kubernetes.beds import ClusterBed, Make

pytestmark = [pytest.mark.flower, pytest.mark.timeout(900)]

RELEASES = {"1.22.0": 30092, "1.42.0": 30093}
"""Each with a port of the node of its own, as the one before may not be free yet."""

QUICK = ("--run-config", "seconds=0.0 num-server-rounds=1")


@pytest.fixture
def site(cluster: Cluster) -> Iterator[str]:
    name = f"site-{secrets.token_hex(3)}"
    cluster.kubectl("create", "namespace", name)
    cluster.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")


def write(bed: ClusterBed, release: str, pools: str = "{name: far, external: true}, {name: near}") -> None:
    address = f"test-superlink-fleet.{bed.namespace}.svc:9092"
    (bed.folder / "federation.yaml").write_text(
        f"""\
apiVersion: flowerbed.dev/v1alpha1
kind: Federation
metadata: {{name: test, namespace: {bed.namespace}}}
spec:
  flower: "{release.rpartition(".")[0]}"
  app: {{image: "flwr/superexec:{release}"}}
  supernodes: [{pools}]
  superlink:
    expose:
      fleetAddress: {address}
      service: {{type: NodePort, nodePort: {RELEASES[release]}}}
      from: [{{namespaceSelector: {{matchLabels: {{flowerbed.test/site: "yes"}}}}}}]
""",
        encoding="utf-8",
    )


def state(bed: ClusterBed, node: str) -> tuple[str, bool]:
    line = next(line for line in bed("node", "list").lines if line.get("name") == node)
    return line["state"], line["external"]


def revoked(bed: ClusterBed, release: str) -> None:
    """Take its keys back by hand."""
    assert bed("node", "revoke", "far-0").status == 0
    assert state(bed, "far-0") == ("revoked", True)


def gone_from_the_file(bed: ClusterBed, release: str) -> None:
    """Have a pool in the cluster by its name instead of its own: `up` takes the keys back that others hold."""
    write(bed, release, "{name: far}, {name: near}")
    up = bed("up")
    assert up.status == 0, (up.lines[-1:], up.errors)
    assert state(bed, "far-0") == ("online", False)
    others = [line for line in bed("node", "list").lines if line["type"] == "node" and not line["name"]]
    assert [line for line in others if line["state"] == "online"] == []


@pytest.mark.parametrize(("release", "taken_back"), [("1.22.0", revoked), ("1.42.0", gone_from_the_file)])
def test_a_site_joins_from_its_kit_and_is_out_when_its_keys_are_taken_back(
    cluster_bed: Make,
    cluster: Cluster,
    site: str,
    tmp_path: Path,
    release: str,
    taken_back: Callable[[ClusterBed, str], None],
) -> None:
    cluster.kubectl("label", "namespace", site, "flowerbed.test/site=yes")
    bed = cluster_bed("slow")
    write(bed, release)
    up = bed("up")
    assert up.status == 0, (up.lines[-1:], up.errors)
    status = up.last("status")
    assert (status["state"], status["nodes_online"], status["nodes_expected"]) == ("ready", 1, 1)
    assert {item["name"]: item["state"] for item in status["components"]}["far-0"] == "offline"
    assert not [pod for pod in bed.pods() if "far" in pod]

    kit = tmp_path / "kit.tar"
    said = bed("node", "kit", "far-0", "--output", str(kit))
    assert said.status == 0, said.lines
    with tarfile.open(kit) as tar:
        tar.extractall(tmp_path, filter="data")
    cluster.kubectl("--namespace", site, "apply", "--kustomize", str(tmp_path / said.last("kit")["folder"]))
    cluster.kubectl("--namespace", site, "rollout", "status", "deployment/test-far-0", "--timeout=180s")
    bed.wait(lambda: state(bed, "far-0") == ("online", True), "its arrival")

    run = bed("run", *QUICK).last("run")
    assert (run["verdict"], [item["results"] for item in run["rounds"][0]["exchanges"]]) == ("succeeded", [2, 2]), run
    again = bed("status").last("status")
    assert (again["state"], again["nodes_online"]) == ("ready", 1)
    assert {item["name"]: item["state"] for item in again["components"]}["far-0"] == "online"

    taken_back(bed, release)
    pod = ("--namespace", site, "logs", "deployment/test-far-0", "--previous")

    def refused() -> bool:
        try:
            said = cluster.kubectl(*pod)
        except KubectlFailed:  # it was not started again yet
            return False
        return "is not let in" in said or "Failed to activate SuperNode" in said

    bed.wait(refused, "the refusal")


def test_a_cluster_without_the_gateway_api_says_so_before_anything_is_applied(cluster_bed: Make) -> None:
    bed = cluster_bed("slow")
    bed.write("1.42.0")
    file = bed.folder / "federation.yaml"
    gateway = "  superlink: {expose: {fleetAddress: fl.example.org:443, gateway: {parentRefs: [{name: lab}]}}}\n"
    file.write_text(file.read_text().replace("replicas: 2}", "replicas: 2}, {name: away, external: true}") + gateway)
    refused = bed("up")
    assert (refused.status, refused.lines[-1]["error"]) == (1, "ClusterRefused"), refused.lines[-1]
    assert "the API server knows no such kind" in refused.error
    assert bed.pods() == {}
