"""The test cluster does what a Kubernetes does."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from cluster import Cluster, KubectlFailed
from cluster.images import app_image
from cluster.pods import create, fetch, pod, service, until_ready, web_server
from cluster.recipes import APP_USER, PROGRAMS

Apply = Callable[..., None]

DIALS = "python -c 'import socket, sys; socket.create_connection((sys.argv[1], 80), timeout=3)' 2>&1"


@pytest.fixture
def apply(cluster: Cluster, namespace: str) -> Apply:
    """Create objects in the test's namespace."""
    return lambda *objects: create(cluster, namespace, *objects)


def output(cluster: Cluster, namespace: str, name: str) -> str:
    """Wait for the end of a Pod that succeeds, and return what it printed."""

    def phase() -> str:
        return cluster.kubectl("-n", namespace, "get", "pod", name, "-o", "jsonpath={.status.phase}")

    cluster.wait(lambda: phase() in ("Succeeded", "Failed"), f"Pod {name} has ended", 90)
    log = cluster.kubectl("-n", namespace, "logs", name)
    assert phase() == "Succeeded", log
    return log


def test_pods_find_each_other_by_the_names_of_services(cluster: Cluster, namespace: str, apply: Apply) -> None:
    apply(web_server("greeter"), service("greeter"))
    until_ready(cluster, namespace, "greeter")
    apply(pod("guest", f"{fetch('http://greeter')}; {fetch(f'http://greeter.{namespace}.svc.cluster.local')}"))
    assert output(cluster, namespace, "guest").split() == ["greeter", "greeter"]


def test_a_pod_reaches_itself_by_its_service(cluster: Cluster, namespace: str, apply: Apply) -> None:
    apply(web_server("narcissus"), service("narcissus"))
    until_ready(cluster, namespace, "narcissus")
    ask = fetch(f"http://narcissus.{namespace}")  # the plain name is in its /etc/hosts
    said = cluster.kubectl("-n", namespace, "exec", "narcissus", "--", "sh", "-c", ask)
    assert said.strip() == "narcissus"


def test_there_is_no_way_out(cluster: Cluster, namespace: str, apply: Apply) -> None:
    node = cluster.nodes[0].place
    assert node.run("ip", "route", "show", "default").startswith("default via 192.0.2.1 dev elsewhere")
    assert node.run("ip", "link", "show", "master", "elsewhere") == ""  # it leads into nothing
    apply(pod("curious", "python -c \"import socket; socket.gethostbyname('pypi.org')\" 2>&1 | tail -1"))
    assert "socket.gaierror" in output(cluster, namespace, "curious")
    apply(pod("stubborn", f"{DIALS} 203.0.113.1 || true"))
    assert "TimeoutError" in output(cluster, namespace, "stubborn")


def test_a_service_that_nobody_is_behind_turns_away_whom_its_node_can_tell(
    cluster: Cluster, namespace: str, apply: Apply
) -> None:
    """Linux tells a few times and then once a second, so on a node a knock in between gets no answer at first."""
    apply(service("empty"))
    cluster.wait(
        lambda: cluster.kubectl("-n", namespace, "get", "endpointslices", "-o", "name") != "",
        "the Service is known",
        30,
    )
    apply(pod("early", f"for n in 1 2 3; do {DIALS} empty || true; done"))
    assert output(cluster, namespace, "early").count("ConnectionRefusedError") == 3


def test_logs_exec_and_stdin_work(cluster: Cluster, namespace: str, apply: Apply) -> None:
    apply(pod("shell", "echo hello; sleep 1000"))
    until_ready(cluster, namespace, "shell")
    assert cluster.kubectl("-n", namespace, "logs", "shell") == "hello\n"
    assert cluster.kubectl("-n", namespace, "exec", "-i", "shell", "--", "cat", input="to and fro") == "to and fro"
    with pytest.raises(KubectlFailed, match="exit code 3"):
        cluster.kubectl("-n", namespace, "exec", "shell", "--", "sh", "-c", "exit 3")


def test_a_claim_is_bound_and_keeps_what_a_pod_wrote(cluster: Cluster, namespace: str, apply: Apply) -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    volume: dict[str, Any] = {
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
        "mounts": [{"name": "data", "mountPath": "/data"}],
    }
    apply(claim, pod("writer", "echo kept > /data/file", **volume))
    output(cluster, namespace, "writer")
    cluster.kubectl("-n", namespace, "delete", "pod", "writer")
    apply(pod("reader", "cat /data/file", **volume))
    assert output(cluster, namespace, "reader") == "kept\n"

    name = cluster.kubectl("-n", namespace, "get", "pvc", "data", "-o", "jsonpath={.spec.volumeName}")
    assert (cluster.folder / "volumes" / name / "file").exists()
    cluster.kubectl("-n", namespace, "delete", "pod/reader", "pvc/data")
    cluster.wait(lambda: cluster.api.get(f"/api/v1/persistentvolumes/{name}") is None, "the volume goes with its claim")
    assert not (cluster.folder / "volumes" / name).exists()


def test_pod_security_refuses_what_restricted_refuses(cluster: Cluster, apply: Apply) -> None:
    with pytest.raises(KubectlFailed, match='violates PodSecurity "restricted'):
        apply(pod("careless", "true", securityContext={}))


def test_a_quota_holds(cluster: Cluster, namespace: str, apply: Apply) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}, "spec": {"hard": {"pods": "0"}}}
    apply(quota)
    with pytest.raises(KubectlFailed, match="exceeded quota: few"):
        apply(pod("one-too-many", "true"))


def test_an_image_that_nobody_pushed_is_not_found(cluster: Cluster, namespace: str, apply: Apply) -> None:
    apply(pod("eager", "true", image="ghcr.io/nobody/nothing:1"))

    def waiting() -> str:
        path = "jsonpath={.status.containerStatuses[0].state.waiting.message}"
        return cluster.kubectl("-n", namespace, "get", "pod", "eager", "-o", path)

    cluster.wait(lambda: "ghcr.io/nobody/nothing:1: not found" in waiting(), "the kubelet says what it misses")


def test_a_kubelet_that_restarts_leaves_containers_alone(cluster: Cluster, namespace: str, apply: Apply) -> None:
    apply(pod("steady", "sleep 1000"))
    until_ready(cluster, namespace, "steady")

    def state() -> tuple[str, str]:
        status = json.loads(cluster.kubectl("-n", namespace, "get", "pod", "steady", "-o", "json"))["status"]
        return status["containerStatuses"][0]["containerID"], status["containerStatuses"][0]["restartCount"]

    before = state()
    cluster.restart_kubelet()
    apply(pod("newcomer", "echo here"))
    assert output(cluster, namespace, "newcomer") == "here\n"  # so the kubelet works again
    assert state() == before


@pytest.mark.parametrize("release", ["1.22.0", "1.42.0"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_the_stand_ins_are_like_flowers_own_images(
    cluster: Cluster, namespace: str, apply: Apply, program: str, release: str
) -> None:
    image = f"flwr/{program}:{release}"
    ask = "from importlib.metadata import version; print(version('flwr'))"
    apply(pod("layout", f'python -c "{ask}"; id -u; pwd; echo $HOME; command -v python', image=image))
    layout = [release, str(APP_USER), "/app", "/app", "/python/venv/bin/python"]
    assert output(cluster, namespace, "layout").splitlines() == layout
    usage = pod("usage", "", image=image)
    usage["spec"]["containers"][0] |= {"command": None, "args": ["--help"]}
    apply(usage)
    assert f"usage: flower-{program} " in output(cluster, namespace, "usage")


def test_an_image_has_nothing_of_the_machine_that_made_it(cluster: Cluster, namespace: str, apply: Apply) -> None:
    files = "cat /etc/apt/sources.list; ls -A /tmp /var/lib/apt/lists"
    settings = "env | grep -c -i -E 'pip|ssl|proxy'; cat /etc/pip.conf"
    apply(pod("look", f"({files}; {settings}) 2>&1; true"))
    sources, *rest = output(cluster, namespace, "look").splitlines()
    assert sources.startswith("deb http://deb.debian.org/debian ")
    assert rest == ["/tmp:", "", "/var/lib/apt/lists:", "0", "cat: /etc/pip.conf: No such file or directory"]


def test_an_app_image_brings_the_apps_dependencies(cluster: Cluster, namespace: str, apply: Apply) -> None:
    name = "ghcr.io/someone/app:1"
    cluster.offer(app_image("1.42.0", ["attrs==25.3.0"], name))
    ask = "from importlib.metadata import version; print(version('attrs'), version('flwr'))"
    apply(pod("app", f'python -c "{ask}"; command -v flower-superexec', image=name))
    assert output(cluster, namespace, "app").splitlines() == ["25.3.0 1.42.0", "/python/venv/bin/flower-superexec"]
