"""Federations that somebody else has applied: Helm, Kustomize, Flux, Argo CD and kubectl.

Helm's is a whole story on one federation: each test goes on from the one before.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import Cluster
from cluster.fixtures import new_namespace
from federation.beds import APPS
from flowerbed.kubernetes.manifests import programs
from kubernetes.beds import ClusterBed

pytestmark = [pytest.mark.flower, pytest.mark.timeout(900)]

SHORT = ("--run-config", "seconds=0.0 num-server-rounds=1")
LONG = ("--run-config", "seconds=4.0 num-server-rounds=9")

HELM = """
import json, sys
from helm_python import Config
asked = json.load(sys.stdin)
helm = Config(kubeconfig_path=asked["kubeconfig"], namespace=asked["namespace"])
arguments = [asked["chart"], "study", asked["values"]] if "chart" in asked else ["study"]
getattr(helm, asked["verb"])(*arguments)
"""
"""In a process of its own, because it brings Go's run time along."""


def helm(bed: ClusterBed, verb: str, values: dict[str, Any] | None = None) -> None:
    asked: dict[str, Any] = {"verb": verb, "kubeconfig": str(bed.cluster.kubeconfig), "namespace": bed.namespace}
    if verb != "uninstall":
        chart = bed.folder.with_name("chart")
        rendered = bed.say("render", "--format", "helm", "--output", str(chart))
        assert rendered.returncode == 0, rendered.stderr
        asked |= {"chart": str(chart), "values": {"createNamespace": False, **(values or {})}}
    command = [sys.executable, "-c", HELM]
    done = subprocess.run(
        command, input=json.dumps(asked), env=bed.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def versions(bed: ClusterBed) -> dict[str, tuple[int, list[str]]]:
    """Return the generation and the field managers of each of Helm's workloads."""
    found = json.loads(bed.kubectl("get", "sts,deploy", "--output", "json", "--show-managed-fields"))["items"]
    return {
        item["metadata"]["name"]: (
            item["metadata"]["generation"],
            sorted({one["manager"] for one in item["metadata"]["managedFields"]} - {"kube-controller-manager"}),
        )
        for item in found
    }


@pytest.fixture
def bed_in(cluster: Cluster, tmp_path: Path) -> Iterator[Callable[[str], ClusterBed]]:
    """Make beds with the slow app in a namespace."""
    made: list[ClusterBed] = []

    def make(namespace: str, layout: str = "Colocated") -> ClusterBed:
        made.append(a_bed(cluster, tmp_path / "slow", namespace, layout))
        return made[-1]

    yield make
    for bed in made:
        bed.end_commands()


def a_bed(cluster: Cluster, folder: Path, namespace: str, layout: str = "Colocated") -> ClusterBed:
    shutil.copytree(APPS / "slow", folder)
    bed = ClusterBed(folder, cluster.environment(), ("--on", "kubernetes"), cluster=cluster, namespace=namespace)
    bed.write("1.42.0", layout=layout)
    return bed


@pytest.fixture(scope="module")
def installed(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterBed]:
    """Install a federation with Helm."""
    with new_namespace(cluster, "helm") as namespace:
        bed = a_bed(cluster, tmp_path_factory.mktemp("helm") / "slow", namespace)
        helm(bed, "install")
        yield bed
        bed.clear()


class TestHelm:
    def test_what_helm_installed_is_found_and_up_makes_what_it_lacks(self, installed: ClusterBed) -> None:
        assert len(installed("status").last("status")["components"]) == 4
        before = versions(installed)
        up = installed("up")
        assert up.status == 0, (up.lines[-1:], up.errors)
        assert up.last("status")["state"] == "ready"
        assert versions(installed) == before
        again = installed("up")
        assert [line for line in again.lines if line.get("kind") == "apply"] == []
        assert installed("up", "--dry-run").last("diff")["changes"] is False

    def test_every_verb_works_on_it(self, installed: ClusterBed) -> None:
        before = versions(installed)
        ran = installed("run", *SHORT)
        assert ran.status == 0, (ran.lines[-1:], ran.errors)
        assert [line["number"] for line in installed("runs").lines] == [1]
        listed = {line["name"] for line in installed("logs").lines}
        assert {"superlink-0", "site-0", "site-1", "run 1"} < listed
        assert any("[ROUND 1/1]" in line["text"] for line in installed("logs", "latest").lines)
        for component in ("superlink", "superexec-serverapp", "site-0"):
            assert installed("logs", component).status == 0, component
        files = installed("results", "1").last("results")["files"]
        assert "counted.json" in {Path(file["path"]).name for file in files}
        nodes = installed("node", "list").lines
        assert {line["name"]: line["state"] for line in nodes} == {"site-0": "online", "site-1": "online"}
        assert installed("trust", "show").status == 0
        audit = [line for line in installed("audit").lines if line.get("id", "").startswith(("object", "pod-strange"))]
        assert audit == []
        number = installed.next_run()
        running = installed.start("run", *LONG)
        installed.wait_for_round(1, run=number)
        assert installed("stop", str(number)).last("run")["verdict"] == "stopped"
        assert installed.finish(running).last("run")["verdict"] == "stopped"
        assert versions(installed) == before

    def test_what_helm_manages_is_not_changed_and_a_refused_run_takes_nothing_down(self, installed: ClusterBed) -> None:
        before, kept = versions(installed), installed.kubectl("get", "configmaps", "--output", "name")
        file = installed.folder / "federation.yaml"
        text = file.read_text()
        said = "Helm's release"
        try:
            file.write_text(text.replace("replicas: 2", "replicas: 3"))
            refused = installed("up")
            assert (refused.status, refused.lines[-1]["error"]) == (1, "ClusterConflict")
            assert f"{said} {installed.namespace}/study manages" in refused.error
            assert "StatefulSet test-site" in refused.error
            assert "helm upgrade study" in refused.lines[-1]["hint"]
            file.write_text(text.replace('"1.42"', '"1.41"'))
            began = time.monotonic()
            refused = installed("run", *SHORT)
            assert (refused.status, refused.lines[-1]["error"]) == (1, "ClusterConflict")
            assert time.monotonic() - began < 60
        finally:
            file.write_text(text)
        assert versions(installed) == before
        assert installed.kubectl("get", "configmaps", "--output", "name") == kept

    def test_helm_upgrades_it_and_takes_it_away(self, installed: ClusterBed) -> None:
        helm(installed, "upgrade", {"resources": {"serverapp": {"requests": {"cpu": "120m"}}}})
        installed.wait(lambda: installed("status").status == 0, "the new SuperExec")
        assert installed("run", *SHORT).last("run")["verdict"] == "succeeded"
        down = installed("down")
        assert down.last("down")["was_up"] is True
        assert any("helm uninstall study" in line.get("message", "") for line in down.lines)
        assert installed.pods().keys() <= {f"test-run-{number}" for number in range(9)}
        helm(installed, "uninstall")
        assert installed("status").last("status")["state"] == "down"
        claims = installed.kubectl("get", "pvc", "--output", "name").split()
        assert {"persistentvolumeclaim/data-test-superlink-0", "persistentvolumeclaim/test-results"} == set(claims)
        installed("down", "--volumes")
        assert installed.kubectl("get", "pvc", "--output", "name") == ""


# The others; nothing waits until these are ready.

FLUX = {"kustomize.toolkit.fluxcd.io/name": "studies", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}
"""The labels of its kustomize-controller, which is its field manager too (fluxcd.io, "Kustomization")."""

ARGO = {"app.kubernetes.io/instance": "studies"}
"""What Argo CD sets that tracks by label (argo-cd.readthedocs.io, release 2.9, "Resource Tracking")."""


@pytest.mark.parametrize(
    ("manager", "labels", "said"),
    [
        ("kustomize-controller", FLUX, "Flux's Kustomization flux-system/studies"),
        ("argocd-controller", ARGO, "Argo CD's application studies"),
    ],
    ids=["flux", "argo"],
)
def test_what_a_gitops_controller_applied_is_found_and_not_changed(
    bed_in: Callable[[str], ClusterBed], namespace: str, manager: str, labels: dict[str, str], said: str
) -> None:
    bed = bed_in(namespace)
    rendered = [
        line["object"]
        for line in map(json.loads, bed.say("render", "--json").stdout.splitlines())
        if line["type"] == "object" and line["object"]["kind"] != "Namespace"
    ]
    for item in rendered:
        item["metadata"]["labels"] |= labels
    everything = json.dumps({"apiVersion": "v1", "kind": "List", "items": rendered})
    cluster = bed.cluster
    cluster.kubectl("apply", "--server-side", "--field-manager", manager, "-f", "-", input=everything)
    assert bed("status").last("status")["components"]
    bed.write("1.42.0", pool=", resources: {limits: {memory: 2Gi}}")
    refused = bed("up")
    assert (refused.status, refused.lines[-1]["error"]) == (1, "ClusterConflict")
    assert f"{said} manages StatefulSet test-site" in refused.error
    assert {one["manager"] for one in refused.lines[-1]["conflicts"]} == {manager}
    assert bed.kubectl("get", "secrets", "--output", "name") == ""
    down = bed("down", "--volumes")
    assert down.last("down")["was_up"] is True
    assert any(said in line.get("message", "") for line in down.lines)
    assert bed("status").last("status")["state"] == "down"


def test_kustomize_brings_it_elsewhere_and_it_is_found_there(
    bed_in: Callable[[str], ClusterBed], namespace: str
) -> None:
    bed = bed_in("written-in-the-file")
    folder = bed.folder.with_name("kustomize")
    assert bed.say("render", "--format", "kustomize", "--output", str(folder)).returncode == 0
    overlay = folder / "overlays" / "development" / "kustomization.yaml"
    overlay.write_text(
        f"{overlay.read_text()}- target: {{kind: Namespace}}\n  patch: |\n    $patch: delete\n    apiVersion: v1\n"
        f"    kind: Namespace\n    metadata: {{name: x}}\nnamespace: {namespace}\n"
    )
    bed.cluster.kubectl("apply", "-k", str(overlay.parent))
    bed.namespace = namespace
    bed.write("1.42.0")
    assert bed("status").last("status")["components"]
    refused = bed("up")  # the overlay asks for less than the file
    assert "kubectl manages StatefulSet" in refused.error
    assert "StatefulSet test-site (" in refused.error
    assert bed("down", "--volumes").last("down")["was_up"] is True


def test_kubectl_upgrades_what_it_applied_of_a_version_with_one_config_map_of_programs(
    bed_in: Callable[[str], ClusterBed], namespace: str
) -> None:
    bed = bed_in(namespace)
    rendered = [item for item in yaml.safe_load_all(bed.say("render").stdout) if item["kind"] != "Namespace"]
    kept = [item for item in rendered if "-programs-" not in item["metadata"]["name"]]
    old = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "test-programs"}, "data": {"unit.py": ""}}
    before = json.loads(json.dumps(kept))
    for volume in volumes(before):
        volume["projected"]["sources"] = [{"configMap": {"name": "test-programs"}}]
    for stage in ([old, *before], rendered):
        everything = json.dumps({"apiVersion": "v1", "kind": "List", "items": stage})
        bed.cluster.kubectl("--namespace", namespace, "apply", "-f", "-", input=everything)
    living = json.loads(bed.kubectl("get", "sts,deploy", "--output", "json"))["items"]
    assert volumes(living)
    sources = [volume["projected"]["sources"] for volume in volumes(living)]
    named = {tuple(source["configMap"]["name"] for source in each) for each in sources}
    assert named == {tuple(f"test-programs-{room}" for room in programs.rooms())}
    made = bed.kubectl("get", "configmaps", "--output", "jsonpath={.items[*].metadata.name}").split()
    assert {f"test-programs-{room}" for room in programs.rooms()} < set(made)


def volumes(items: list[Any]) -> list[Any]:
    """Return the volumes with our programs of each workload among some objects."""
    templates = [item["spec"]["template"] for item in items if "template" in item.get("spec", {})]
    found = [volume for template in templates for volume in template["spec"]["volumes"]]
    return [volume for volume in found if volume["name"] == "flowerbed-programs"]


def test_the_quickstart_that_kubectl_applied_is_named_and_left_alone(
    bed_in: Callable[..., ClusterBed], namespace: str
) -> None:
    bed = bed_in(namespace, "Quickstart")
    bed.cluster.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce-")
    bed.cluster.kubectl("apply", "-f", "-", input=bed.say("render").stdout)
    before = bed.kubectl("get", "deploy,svc", "--output", "jsonpath={.items[*].metadata.resourceVersion}")
    said = "there are Deployments of a Flower SuperLink that Flowerbed did not make: test-superlink"
    status = bed("status")
    assert (status.status, status.last("status")["state"], status.last("status")["reason"]) == (1, "foreign", said)
    assert said in bed("audit").error
    refused = bed("run", *SHORT)
    assert "kubectl manages Deployment test-superlink" in refused.error
    assert bed("down").last("down")["was_up"] is False
    after = bed.kubectl("get", "deploy,svc", "--output", "jsonpath={.items[*].metadata.name}")
    assert before
    assert len(after.split()) == len(before.split())
