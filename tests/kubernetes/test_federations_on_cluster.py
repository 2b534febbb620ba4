"""The verbs on a real cluster say and do what they do locally."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

from flowerbed.runs.records import RunRecord
from kubernetes.beds import Baking, Make

RELEASES = ("1.22.0", "1.42.0")

pytestmark = [pytest.mark.flower, pytest.mark.timeout(900)]


@pytest.mark.parametrize("layout", ["Colocated", "Quickstart"])
@pytest.mark.parametrize("release", RELEASES)
def test_the_digits_app_runs_to_its_verdict(
    cluster_bed: Make, digits_image: Callable[[str], None], release: str, layout: str
) -> None:
    digits_image(release)
    bed = cluster_bed("digits", bare=layout == "Quickstart")
    bed.write(release, layout=layout)

    up = bed("up")
    assert up.status == 0, (up.lines[-1:], up.errors)
    status = up.last("status")
    assert (status["state"], status["flower"]) == ("ready", release)
    assert (status["nodes_online"], status["superexecs_connected"]) == (2, 3)

    said = bed("run")
    assert said.status == 0, (said.lines[-1:], said.errors)
    run = said.last("run")
    assert set(run) == {"type", *(field.name for field in fields(RunRecord))}
    assert (run["verdict"], len(run["rounds"])) == ("succeeded", 3)
    assert run["rounds"][-1]["metrics"]["server/accuracy"] > 0.9
    kept = f"persistentvolumeclaim/test-results/{run['flower_id']}" if layout == "Colocated" else None
    assert run["results"] == kept
    assert [line["number"] for line in said.lines if line["type"] == "round"] == [1, 2, 3]

    assert bed.run(1)["verdict"] == "succeeded"
    assert any("[ROUND 3/3]" in line["text"] for line in bed("logs", "1").lines)
    listed = {line["name"]: line["path"] for line in bed("logs").lines}
    assert (len(listed), listed["run 1"]) == (5 if layout == "Colocated" else 7, None)
    assert all(path in {f"pod/{pod}" for pod in bed.pods()} for name, path in listed.items() if name != "run 1")
    if layout == "Colocated":
        saved = bed("results", "1").last("results")
        assert [Path(file["path"]).name for file in saved["files"]] == ["metrics.json", "model.npz"]
        assert all(file["bytes"] == Path(bed.folder, file["path"]).stat().st_size > 0 for file in saved["files"])

    down = bed("down")
    assert down.last("down") == {"type": "down", "was_up": True, "removed": False}
    assert bed.pods() == {}
    assert bed("status").last("status")["state"] == "down"
    assert bed.run(1)["verdict"] == "succeeded"


def test_up_again_changes_nothing_and_down_keeps_what_is_asked_to_stay(cluster_bed: Make) -> None:
    bed = cluster_bed("slow")
    bed.write("1.42.0")
    assert bed("up").status == 0
    before = bed.pods()
    again = bed("up")
    assert again.status == 0
    assert [line for line in again.lines if line.get("kind") == "apply"] == []
    assert bed.pods() == before
    assert bed("up", "--dry-run").last("diff") == {"type": "diff", "changes": False, "diff": ""}

    # As an earlier Flowerbed made it: without a label of ours, which `up` adds, and nothing starts again for it.
    bed.kubectl("label", "sts,deploy,svc,cm,secret,pvc,netpol,pdb", "--all", "flowerbed.dev/federation-")
    assert bed("status").last("status")["state"] == "ready"
    labelled = [line["subject"] for line in bed("up").lines if line.get("kind") == "apply"]
    assert {"test-superlink", "test-superexec-serverapp", "test-site", "test-results"} <= set(labelled)
    assert bed.pods() == before
    assert "data-test-superlink-0" not in bed.kubectl("get", "pvc", "-l", "flowerbed.dev/federation", "-o", "name")

    # And with one ConfigMap for all programs, which stays until no Pod is left that reads it.
    bed.kubectl("label", "configmap", "test-programs-unit", "flowerbed.dev/federation-")
    earlier = json.loads(bed.kubectl("get", "configmap", "test-programs-unit", "--output", "json"))
    meta = {"name": "test-programs", "labels": earlier["metadata"]["labels"]}
    old = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": earlier["data"]}
    bed.cluster.kubectl(
        *("--namespace", bed.namespace, "apply", "--server-side", "--field-manager", "flowerbed", "-f", "-"),
        input=json.dumps(old),
    )
    bed.kubectl("rollout", "restart", "statefulset/test-site")
    upgraded = bed("up")
    told = [(line.get("kind"), line.get("subject")) for line in upgraded.lines]
    assert told.index(("apply", "test-programs")) > told.index(("ready", "test"))
    assert "configmap/test-programs\n" not in bed.kubectl("get", "configmaps", "--output", "name")
    before = bed.pods()

    bed.write("1.42.0", more="  superlink: {storage: {size: 2Gi}}")
    refused = bed("up")
    assert refused.status == 1
    assert refused.lines[-1]["error"] == "ClusterImmutable"
    assert bed.pods() == before

    bed.write("1.42.0")
    assert bed("down").status == 0
    claims = json.loads(bed.kubectl("get", "pvc", "--output", "json"))["items"]
    assert sorted(item["metadata"]["name"] for item in claims) == ["data-test-superlink-0", "test-results"]
    assert bed("down", "--volumes").status == 0
    bed.cluster.wait(lambda: not json.loads(bed.kubectl("get", "pvc", "--output", "json"))["items"], "no claims")
    assert bed.cluster.kubectl("get", "namespace", bed.namespace)


def test_a_changed_file_changes_only_what_it_says_and_removes_what_it_no_longer_has(cluster_bed: Make) -> None:
    bed = cluster_bed("slow")
    bed.write("1.42.0")
    file = bed.folder / "federation.yaml"
    two = file.read_text().replace("[{name: site, replicas: 2}]", "[{name: site}, {name: ward}]")
    file.write_text(two)
    assert bed("up").status == 0
    before = bed.pods()
    assert {"test-site-0", "test-ward-0"} <= set(before)
    changes = bed("up", "--dry-run").last("diff")
    assert changes["changes"] is False
    file.write_text(two.replace("{name: site}, {name: ward}", "{name: site, nodeConfig: {more: 1}}"))
    assert "-    kind: StatefulSet" not in bed("up", "--dry-run").last("diff")["diff"]
    up = bed("up")
    assert up.status == 0
    after = bed.pods()
    assert "test-ward-0" not in after
    assert after["test-superlink-0"] == before["test-superlink-0"]
    assert after["test-site-0"] != before["test-site-0"]


def test_run_alone_brings_a_federation_up_and_down_again(cluster_bed: Make) -> None:
    bed = cluster_bed("slow")
    bed.write("1.42.0")
    said = bed("run", "--run-config", "seconds=0.1 num-server-rounds=1")
    assert (said.status, said.last("run")["verdict"]) == (0, "succeeded")
    assert bed.pods() == {}


def test_two_federations_share_a_namespace_and_one_runs_what_its_image_holds(
    cluster_bed: Make, baking: Baking, tmp_path: Path
) -> None:
    bed = cluster_bed("slow")
    bed.write("1.42.0")
    image = "registry.example/slow:baked"
    baking.bake(bed.folder, image, "1.42.0")
    other = tmp_path / "elsewhere" / "federation.yaml"  # where no app is
    other.parent.mkdir()
    file = bed.folder / "federation.yaml"
    text = file.read_text()
    file.write_text(text.replace("replicas: 2", "replicas: 1"))  # the node has two CPUs, for both
    other.write_text(text.replace("name: test", "name: other").replace("flwr/superexec:1.42.0", image))
    try:
        assert bed("up", "--file", str(other)).status == bed("up").status == 0
        refused = bed("run", "--file", str(other))
        assert (refused.status, "there is no app to submit" in refused.error) == (2, True)
        run = bed("run", "--file", str(other), "--baked", "--run-config", "seconds=0.1 num-server-rounds=1").last("run")
        assert (run["number"], run["verdict"]) == (1, "succeeded")
        assert bed("runs").lines == []
        assert bed("down").status == 0
        assert {pod.partition("-")[0] for pod in bed.pods()} == {"other"}
        assert bed("status", "--file", str(other)).last("status")["state"] == "ready"
    finally:
        bed("down", "--volumes", "--file", str(other))


DYNAMIC = """
[build-system]
requires = ["setuptools>=61"]
build-backend = "setuptools.build_meta"

[tool.setuptools.dynamic]
dependencies = {file = "requirements.txt"}

[tool.setuptools]
packages = ["digits"]

[project]
dynamic = ["dependencies"]
"""


def test_what_the_image_lacks_is_told_before_anything_runs(cluster_bed: Make) -> None:
    bed = cluster_bed("digits")
    bed.write("1.42.0", image="flwr/superexec:1.42.0")
    pyproject = bed.folder / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8")
    dependencies = re.search(r"^dependencies = \[(.*?)\]\n", text, re.MULTILINE | re.DOTALL)
    assert dependencies is not None
    rest = text[text.index("[project]") :].replace(dependencies[0], "").removeprefix("[project]")
    pyproject.write_text(DYNAMIC + rest, encoding="utf-8")  # so that only the build back end knows them
    lines = [line.strip(' ,"') for line in dependencies[1].splitlines()]
    (bed.folder / "requirements.txt").write_text("\n".join(lines), encoding="utf-8")
    assert bed("up").status == 0
    said = bed("run")
    assert said.status == 2
    assert said.lines[-1]["error"] == "AppError"
    assert "scikit-learn is not there" in said.error
    assert bed.kubectl("get", "jobs", "--output", "name") == ""
    assert bed.run(1)["verdict"] == "failed"
