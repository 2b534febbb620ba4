"""Who is let to Flower's Control API in a cluster: the Jobs of runs, and nobody without a certificate."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator

import pytest

from cluster import Cluster
from cluster.pods import create, pod, until_ready
from control_calls import CALL, METHODS, REFUSED
from flowerbed.flower import apis
from flowerbed.flower.apis import Api
from flowerbed.flower.contract import Protection
from flowerbed.flower.releases import find
from kubernetes.beds import ClusterBed, Make

RELEASES = ("1.22.0", "1.42.0")

pytestmark = [pytest.mark.flower, pytest.mark.timeout(900)]


@pytest.fixture
def elsewhere(cluster: Cluster) -> Iterator[str]:
    """A namespace that has nothing to do with any federation."""
    name = f"elsewhere-{secrets.token_hex(3)}"
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.mark.parametrize("release", RELEASES)
def test_a_run_is_submitted_and_nobody_else_calls_control(cluster_bed: Make, elsewhere: str, release: str) -> None:
    bed = cluster_bed("slow")
    bed.write(release, more="  security: {networkPolicies: Disabled}")  # so that it is the proxy that refuses
    assert bed("up").status == 0
    run = bed("run", "--run-config", "seconds=0.1 num-server-rounds=1").last("run")
    assert run["verdict"] == "succeeded"

    row = find(release)
    control = [path for path in methods(bed) if path.startswith(apis.prefix(row, Api.CONTROL))]
    assert control
    create(bed.cluster, elsewhere, pod("stranger", "exec sleep 3600", image=f"flwr/superexec:{release}"))
    until_ready(bed.cluster, elsewhere, "stranger")
    ports = json.loads(bed.kubectl("get", "service", "test-superlink", "--output", "json"))["spec"]["ports"]
    doors = {port["name"]: port["port"] for port in ports}
    assert doors.keys() == {api.value for api in Api}
    for namespace, caller in ((bed.namespace, "test-site-0"), (elsewhere, "stranger")):
        for api in Api:
            address = f"test-superlink.{bed.namespace}.svc:{doors[api]}"
            protocol = apis.port(row, api).protocol
            authority = trusted(bed) if apis.has_tls(row, api, Protection(tls=True)) else ""
            found = bed.cluster.kubectl(
                *("--namespace", namespace, "exec", "--stdin", caller, "--", "python", "-c", CALL, protocol, address),
                input=json.dumps({"paths": control, "authority": authority}),
            )
            assert set(json.loads(found).values()) == {REFUSED[protocol]}, (caller, api)

    # Whoever was given a certificate gets through, from the very same Pod.
    assert bed("trust", "export", "--client", "peer").status == 0
    assert {path.name for path in (bed.folder / "peer").iterdir()} == {"tls.crt", "tls.key", "ca.crt", "nginx.conf"}
    for file in ("tls.crt", "tls.key"):
        content = (bed.folder / "peer" / file).read_text()
        bed.cluster.kubectl(*in_supernode(bed), "sh", "-c", f"cat > /tmp/{file}", input=content)
    protocol = apis.port(row, Api.CONTROL).protocol
    listed = {"grpc": "/flwr.proto.Control/ListRuns", "http": "/v1/control/list-runs"}[protocol]
    found = bed.cluster.kubectl(
        *in_supernode(bed),
        *("python", "-c", CALL, protocol, f"test-superlink:{doors['control']}", "/tmp/tls.crt", "/tmp/tls.key"),
        input=json.dumps({"paths": [listed], "authority": trusted(bed)}),
    )
    assert json.loads(found)[listed] in ("OK", "200")


def test_a_proxy_that_ends_is_started_again_alone_and_the_run_goes_on(cluster_bed: Make) -> None:
    bed = cluster_bed("slow")
    bed.write("1.42.0")
    assert bed("up").status == 0
    going = bed.start("run", "--run-config", "seconds=5 num-server-rounds=1")
    bed.wait_for_round(1)
    bed.kubectl("exec", "test-superlink-0", "--container", "proxy", "--", "sh", "-c", "kill 1")
    bed.cluster.wait(lambda: restarts(bed)["proxy"] == 1, "a proxy that was started again")
    assert bed.finish(going).last("run")["verdict"] == "succeeded"
    assert restarts(bed) == {"superlink": 0, "proxy": 1}


def in_supernode(bed: ClusterBed) -> tuple[str, ...]:
    """Return what kubectl executes a program in a SuperNode's Pod with."""
    return ("--namespace", bed.namespace, "exec", "--stdin", "test-site-0", "--")


def restarts(bed: ClusterBed) -> dict[str, int]:
    """Return how often each container of the SuperLink's Pod was started again."""
    found = json.loads(bed.kubectl("get", "pod", "test-superlink-0", "--output", "json"))
    return {one["name"]: one["restartCount"] for one in found["status"]["containerStatuses"]}


def methods(bed: ClusterBed) -> list[str]:
    """Return the paths of all methods of the release in the Pods."""
    return bed.kubectl("exec", "test-site-0", "--", "python", "-c", METHODS).split()


def trusted(bed: ClusterBed) -> str:
    """Return the federation's authority."""
    data = json.loads(bed.kubectl("get", "configmap", "test-authority", "--output", "json"))["data"]
    return str(data["ca.crt"])
