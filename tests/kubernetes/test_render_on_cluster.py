"""What a real API server and kubectl make of the rendered manifests."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from cluster import Cluster
from flowerbed.flower.releases import find
from flowerbed.kubernetes.manifests.objects import objects
from flowerbed.kubernetes.packaging import kustomize
from flowerbed.kubernetes.yaml_text import dump_all
from kubernetes.federations import (
    EVERYWHERE,
    FULL,
    SMALL,
    Object,
    federation,
    named,
    names_with,
    names_with_namespace,
    workloads,
)

LAYOUTS = pytest.mark.parametrize("layout", ["Colocated", "Quickstart"])
RESTRICTED = FULL.replace("hostPath: {path: /mnt/chest, type: Directory}", "emptyDir: {}")


def build(cluster: Cluster, folder: Path) -> dict[str, Object]:
    """Return what Kustomize makes of a folder."""
    command = [str(cluster.kubectl_program), "kustomize", str(folder)]
    made = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {named(item): item for item in yaml.safe_load_all(made)}


@LAYOUTS
@pytest.mark.parametrize("text", [pytest.param(SMALL, id="small"), pytest.param(FULL, id="full")])
def test_kustomize_gives_the_stream(cluster: Cluster, tmp_path: Path, text: str, layout: str) -> None:
    found = federation(text, layout)
    made = objects(found, find("1.42"))
    for name, content in kustomize.files(found, made).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    plain = {named(item): item for item in yaml.safe_load_all(dump_all(made))}
    assert build(cluster, tmp_path / "base") == plain
    for overlay in ("development", "production"):
        kept = build(cluster, tmp_path / "overlays" / overlay)
        assert kept.keys() == plain.keys()
        assert {item["metadata"]["labels"]["environment"] for item in kept.values()} == {overlay}


def test_every_name_with_the_namespace_follows_kustomizes(
    cluster: Cluster, tmp_path: Path, say: Callable[..., tuple[int, str]]
) -> None:
    (tmp_path / "federation.yaml").write_text(EVERYWHERE.replace("LAYOUT", "Colocated"), encoding="utf-8")
    words = ("--format", "kustomize", "--secrets", "ExternalSecret", "--output", str(tmp_path / "made"))
    assert say("render", "--file", str(tmp_path / "federation.yaml"), *words)[0] == 0
    for overlay in ("development", "production"):
        folder = tmp_path / "made" / "overlays" / overlay
        assert names_with_namespace(build(cluster, folder)) == names_with("research")
        file = folder / "kustomization.yaml"
        file.write_text(f"{file.read_text()}namespace: elsewhere\n", encoding="utf-8")
        assert names_with_namespace(build(cluster, folder)) == names_with("elsewhere")


@LAYOUTS
@pytest.mark.parametrize("flower", ["1.22", "1.42"])
def test_the_api_server_takes_every_object(cluster: Cluster, namespace: str, layout: str, flower: str) -> None:
    made = objects(federation(RESTRICTED, layout), find(flower), namespace=namespace)
    answer = cluster.kubectl(
        *("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-"), input=dump_all(made)
    )
    assert answer.count("serverside-applied (server dry run)") == len(made)


@pytest.mark.parametrize("flower", ["1.22", "1.42"])
@pytest.mark.parametrize("text", [pytest.param(SMALL, id="small"), pytest.param(RESTRICTED, id="full")])
def test_pod_security_restricted_lets_every_pod_in(cluster: Cluster, namespace: str, text: str, flower: str) -> None:
    """It looks at Pods, not at what makes them, so each Pod is sent as its workload's controller would."""
    for item in workloads(objects(federation(text), find(flower), namespace=namespace)):
        pod = json.loads(json.dumps(item["spec"]["template"]))
        pod |= {"apiVersion": "v1", "kind": "Pod"}
        pod["metadata"] |= {"name": item["metadata"]["name"], "namespace": namespace}
        claims = item["spec"].get("volumeClaimTemplates", [])
        pod["spec"]["volumes"] += [{"name": claim["metadata"]["name"], "emptyDir": {}} for claim in claims]
        answer = cluster.kubectl("create", "--dry-run=server", "-f", "-", input=json.dumps(pod))
        assert "created (server dry run)" in answer
