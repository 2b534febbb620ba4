"""``flowerbed render``: the same text each time, as a stream, as files of Kustomize, and as a Helm chart."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from flowerbed.kubernetes.manifests import names, programs
from flowerbed.kubernetes.packaging.folder import MARKER
from json_output import differences, heard
from kubernetes.federations import EVERYWHERE, FULL, SMALL, Object, named, names_with, names_with_namespace

Say = Callable[..., tuple[int, str]]

FLOWERBED = str(Path(sys.executable).with_name("flowerbed"))

LAYOUTS = pytest.mark.parametrize("layout", ["Colocated", "Quickstart"])


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    """Write a federation file, alone in its folder."""

    def write(text: str, layout: str = "Colocated") -> Path:
        path = tmp_path / "federation.yaml"
        path.write_text(text.replace("LAYOUT", layout), encoding="utf-8")
        return path

    return write


def by_name(objects: list[Object]) -> dict[str, Object]:
    found = {named(item): item for item in objects}
    assert len(found) == len(objects)
    return found


def stream(text: str) -> dict[str, Object]:
    return by_name(list(yaml.safe_load_all(text)))


def test_quickstart_has_no_tls(file: Callable[..., Path], say: Say) -> None:
    path = file(SMALL + "  security: {tls: {mode: Auto}}\n", "Quickstart")
    status, said = say("render", "--file", str(path))
    assert status == 2
    assert "spec.security.tls: on Kubernetes, layout: Quickstart is Flower's own walk-through, which has no TLS" in said


# The stream.


@LAYOUTS
def test_the_text_is_the_same_byte_for_byte(file: Callable[..., Path], layout: str) -> None:
    path = file(FULL, layout)
    texts = {
        subprocess.run(
            [FLOWERBED, "render", "--file", str(path)],
            capture_output=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(texts) == 1
    assert stream(texts.pop().decode())


def test_no_cluster_no_app_folder_and_no_client_is_needed(file: Callable[..., Path]) -> None:
    code = (
        "import sys; from flowerbed.cli import app; app('render')(['render', '--file', sys.argv[1]]);"
        "print({name.split('.')[0] for name in sys.modules} & {'lightkube', 'httpx', 'httpx2'}, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(file(SMALL))], capture_output=True, check=True, text=True)
    assert done.stderr.strip() == "set()"
    assert next(iter(stream(done.stdout))) == "ConfigMap/demo-programs-shared"


def test_json_has_an_object_on_each_line(file: Callable[..., Path], say: Say) -> None:
    path = file(FULL)
    _, plain = say("render", "--file", str(path))
    status, said = say("render", "--file", str(path), "--json")
    told = [json.loads(line) for line in said.splitlines()]
    assert status == 0
    assert {line["type"] for line in told} == {"needed", "object"}
    written = say("render", "--file", str(path), "--output", str(path.parent / "out"), "--json")
    shown = [{**line, "object": {}} if line["type"] == "object" else line for line in told]
    assert differences("render", [("render", status, shown), heard("render --output", *written)]) == []
    lines = [line for line in told if line["type"] == "object"]
    assert by_name([line["object"] for line in lines]) == stream(plain)
    assert [f"{line['kind']}/{line['name']}" for line in lines] == list(stream(plain))


def test_the_release_is_the_command_lines_or_the_files(file: Callable[..., Path], say: Say) -> None:
    path = file(SMALL.replace("spec:", 'spec:\n  flower: "1.40"'))
    assert "flwr/superlink:1.40.0" in say("render", "--file", str(path))[1]
    assert "flwr/superlink:1.22.0" in say("render", "--file", str(path), "--flower", "1.22")[1]


def test_what_is_wrong_is_told_with_its_place(file: Callable[..., Path], tmp_path: Path, say: Say) -> None:
    path = file(SMALL.replace('  app: {image: "ghcr.io/example/app:1.0"}\n', ""))
    status, said = say("render", "--file", str(path))
    assert status == 2
    assert f"{path}:5:3: spec.app.image: is needed on Kubernetes" in said
    status, said = say("render", "--file", str(tmp_path / "nowhere"))
    assert (status, "nowhere" in said) == (2, True)
    status, said = say("render", "--file", str(file(SMALL)), "--format", "helm")
    assert status == 2
    assert "--format helm writes a folder" in said


# The folder.


def texts(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_a_second_time_changes_only_what_the_file_changes(file: Callable[..., Path], tmp_path: Path, say: Say) -> None:
    folder = tmp_path / "deploy" / "here"

    def render(text: str, *more: str) -> tuple[int, str]:
        return say("render", "--file", str(file(text)), "--output", str(folder), "--format", "kustomize", *more)

    assert render(SMALL)[0] == 0
    before = texts(folder)
    assert render(SMALL) == (0, f"{folder}: nothing changed\n")
    assert texts(folder) == before
    status, said = render(SMALL.replace("replicas: 2", "replicas: 3"), "--json")
    assert status == 0
    changed = {json.loads(line)["path"] for line in said.splitlines()}
    assert changed == {str(folder / "base" / "supernodes.yaml"), str(folder / "SECRETS.md")}
    assert render(SMALL)[0] == 0
    assert texts(folder) == before


def test_what_is_no_longer_rendered_is_deleted_and_what_is_not_ours_stays(
    file: Callable[..., Path],
    tmp_path: Path,
    say: Say,
) -> None:
    folder = tmp_path / "deploy"
    say("render", "--file", str(file(SMALL)), "--output", str(folder), "--format", "kustomize")
    (folder / "notes.txt").write_text("mine")
    status, _ = say(
        "render", "--file", str(file(SMALL, "Quickstart")), "--output", str(folder), "--format", "kustomize"
    )
    assert status == 0
    assert not (folder / "base" / "programs.yaml").exists()
    assert (folder / "notes.txt").read_text() == "mine"


def test_a_file_that_was_changed_by_hand_is_not_lost(file: Callable[..., Path], tmp_path: Path, say: Say) -> None:
    folder = tmp_path / "deploy"
    command = ("render", "--output", str(folder), "--format", "kustomize", "--file")
    say(*command, str(file(SMALL)))
    overlay, base = folder / "overlays/production/kustomization.yaml", folder / "base/superlink.yaml"
    overlay.write_text("# mine\n" + overlay.read_text())
    assert say(*command, str(file(SMALL))) == (0, f"{folder}: nothing changed\n")
    base.write_text("# mine\n" + base.read_text())
    before = texts(folder)
    status, said = say(*command, str(file(SMALL.replace("replicas: 2", "replicas: 3"))))
    assert status == 2
    assert "base/superlink.yaml was changed by hand" in said
    assert texts(folder) == before
    base.unlink()
    assert say(*command, str(file(SMALL)))[0] == 0
    assert overlay.read_text().startswith("# mine\n")
    assert not base.read_text().startswith("# mine\n")


def test_somebody_elses_folder_is_not_written_into(file: Callable[..., Path], tmp_path: Path, say: Say) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "manifests.yaml").write_text("precious")
    status, said = say("render", "--file", str(file(SMALL)), "--output", str(folder))
    assert status == 2
    assert "holds files that flowerbed did not write" in said
    assert texts(folder) == {"manifests.yaml": "precious"}
    status, said = say("render", "--file", str(file(SMALL)), "--output", str(folder / "manifests.yaml"))
    assert (status, "is a file, not a folder" in said) == (2, True)


def without_overlays(folder: Path) -> dict[str, str]:
    return {name: text for name, text in texts(folder).items() if not name.startswith("overlays/")}


class Killed(Exception):
    """Stands for a process that is no more."""


def test_a_render_that_was_killed_half_way_is_gone_on_with(
    file: Callable[..., Path],
    tmp_path: Path,
    say: Say,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "deploy"
    command = ("render", "--output", str(folder), "--format", "kustomize", "--file")
    replaced = Path.replace

    def dies_at(number: int) -> None:
        left = [number]

        def replace(self: Path, target: Path) -> Path:
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return replaced(self, target)

        monkeypatch.setattr(Path, "replace", replace)

    for text in (SMALL, SMALL.replace("demo", "other")):
        deaths = 0
        for number in range(99):
            dies_at(number)
            try:
                assert say(*command, str(file(text)))[0] == 0
            except Killed:
                deaths += 1
            else:
                break
        assert deaths > 3
        monkeypatch.setattr(Path, "replace", replaced)
        assert say(*command, str(file(text))) == (0, f"{folder}: nothing changed\n")
        fresh = tmp_path / f"fresh-{text.count('other')}"
        say("render", "--output", str(fresh), "--format", "kustomize", "--file", str(file(text)))
        assert without_overlays(folder) == without_overlays(fresh)


def test_the_list_of_files_is_one_that_sha256sum_reads(file: Callable[..., Path], tmp_path: Path, say: Say) -> None:
    folder = tmp_path / "chart"
    say("render", "--file", str(file(SMALL)), "--output", str(folder), "--format", "helm")
    done = subprocess.run(["sha256sum", "--check", MARKER], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "templates/superlink.yaml: OK" in done.stdout


# Kustomize; what kubectl makes of it is tested on the test cluster.


@LAYOUTS
def test_the_base_is_the_stream(file: Callable[..., Path], tmp_path: Path, say: Say, layout: str) -> None:
    path = file(FULL, layout)
    _, plain = say("render", "--file", str(path))
    say("render", "--file", str(path), "--output", str(tmp_path / "k"), "--format", "kustomize")
    base = tmp_path / "k" / "base"
    listed = yaml.safe_load((base / "kustomization.yaml").read_text())["resources"]
    assert {path.name for path in base.iterdir()} == {"kustomization.yaml", *listed}
    objects = [item for name in listed for item in yaml.safe_load_all((base / name).read_text())]
    assert by_name(objects) == stream(plain)


# Helm; a chart is rendered by Helm itself, in a process of its own because it brings Go's run time along.

HELM = """
import json, sys
from helm_python import Chart, chart
asked = json.load(sys.stdin)
try:
    made = Chart.load(asked["chart"]).render(asked["values"], name="release", namespace="releases")
except Exception as error:
    print(json.dumps({"error": str(error)}))
else:
    report = chart.lint(asked["chart"], asked["values"], strict=True)
    print(json.dumps({"made": made, "lint": [one for one in report["messages"] if one["severity"] > 1]}))
"""


def helm(chart: Path, values: dict[str, Any] | None = None) -> dict[str, Any]:
    asked = json.dumps({"chart": str(chart), "values": values or {}})
    done = subprocess.run([sys.executable, "-c", HELM], input=asked, capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout)
    assert isinstance(answer, dict)
    return answer


def templated(answer: dict[str, Any]) -> dict[str, Object]:
    """Return what a chart makes, without Helm's own label."""
    files = [text for name, text in answer["made"].items() if name.endswith(".yaml")]
    objects = [item for text in files for item in yaml.safe_load_all(text) if item]
    for item in objects:
        assert re.fullmatch(r"chest-study-0\.1\.0_[0-9a-f]{12}", item["metadata"]["labels"].pop("helm.sh/chart"))
        if not item["metadata"]["labels"]:
            del item["metadata"]["labels"]
    return by_name(objects)


@pytest.fixture
def chart(file: Callable[..., Path], tmp_path: Path, say: Say) -> Callable[[str], tuple[Path, dict[str, Object]]]:
    """Render the full federation as a chart and as a stream."""

    def render(layout: str) -> tuple[Path, dict[str, Object]]:
        path = file(FULL, layout)
        _, plain = say("render", "--file", str(path))
        folder = tmp_path / f"chart-{layout}"
        status, said = say("render", "--file", str(path), "--output", str(folder), "--format", "helm")
        assert status == 0, said
        return folder, stream(plain)

    return render


Rendered = Callable[[str], tuple[Path, dict[str, Object]]]


@LAYOUTS
def test_the_chart_with_its_own_values_is_the_stream(chart: Rendered, layout: str) -> None:
    folder, plain = chart(layout)
    answer = helm(folder)
    assert answer["lint"] == []
    assert templated(answer) == plain
    (notes,) = [text for name, text in answer["made"].items() if name.endswith("NOTES.txt")]
    assert "a SuperLink and 3 SuperNodes" in notes
    waited = [line.split()[0] for line in notes.splitlines() if line.startswith(("  secret/", "  configmap/"))]
    mounted = {f"{kind}/{name}" for item in plain.values() for kind, name in mounts(item) if layout == "Colocated"}
    ours = {f"configmap/{names.programs('chest-study', room)}" for room in programs.rooms()}
    assert mounted - MADE_BY_OTHERS <= {*waited, *ours, "configmap/chest-study-proxy"}
    assert ("The Pods wait until there are, in the namespace research" in notes) is (layout == "Colocated")


MADE_BY_OTHERS = {"configmap/models", "secret/tracking-ca"}
"""What the file names as somebody else's."""


def mounts(item: Object) -> list[tuple[str, str]]:
    """Return which Secrets and ConfigMaps a workload's Pods cannot be without."""
    found = []
    for volume in item.get("spec", {}).get("template", {}).get("spec", {}).get("volumes", []):
        sources = volume["projected"]["sources"] if "projected" in volume else [volume]
        for source in sources:
            if "secret" in source and not source["secret"].get("optional"):
                found.append(("secret", source["secret"].get("secretName") or source["secret"]["name"]))
            if "configMap" in source and not source["configMap"].get("optional"):
                found.append(("configmap", source["configMap"]["name"]))
    return found


def version_of(folder: Path) -> str:
    return str(yaml.safe_load((folder / "Chart.yaml").read_text())["version"])


def test_the_charts_version_changes_with_its_content_or_is_the_users(
    file: Callable[..., Path], tmp_path: Path, say: Say
) -> None:
    folder = tmp_path / "chart"

    def render(text: str, *more: str) -> str:
        asked = ("render", "--file", str(file(text)), "--output", str(folder), "--format", "helm", *more)
        assert say(*asked)[0] == 0
        return version_of(folder)

    first = render(SMALL)
    assert first.startswith("0.1.0+")
    assert render(SMALL) == first
    assert render(SMALL.replace("replicas: 2", "replicas: 3")) != first
    assert render(SMALL, "--flower", "1.41") != first
    assert render(SMALL, "--chart-version", "1.4.0-rc.1") == "1.4.0-rc.1"
    status, said = say("render", "--file", str(file(SMALL)), "--format", "helm", "--chart-version", "1.4")
    assert (status, "--chart-version: '1.4' is no version of SemVer" in said) == (2, True)
    status, said = say("render", "--file", str(file(SMALL)), "--chart-version", "1.4.0")
    assert (status, "--chart-version: only a Helm chart has a version" in said) == (2, True)


@pytest.mark.parametrize(
    ("values", "namespace"),
    [({}, "research"), ({"namespace": "elsewhere"}, "elsewhere"), ({"namespace": ""}, "releases")],
)
def test_every_name_with_the_namespace_follows_the_charts(
    file: Callable[..., Path], tmp_path: Path, say: Say, values: dict[str, Any], namespace: str
) -> None:
    asked = ("render", "--file", str(file(EVERYWHERE)), "--secrets", "ExternalSecret")
    status, said = say(*asked, "--output", str(tmp_path / "chart"), "--format", "helm")
    assert status == 0, said
    answer = helm(tmp_path / "chart", {**values, "createNamespace": False})
    made = templated(answer)
    assert names_with_namespace(made) == names_with(namespace)
    assert {item["metadata"]["namespace"] for item in made.values()} == {namespace}
    (notes,) = [text for name, text in answer["made"].items() if name.endswith("NOTES.txt")]
    assert f"in the namespace {namespace}:" in notes
    if namespace == "research":
        plain = stream(say(*asked)[1])
        del plain["Namespace/research"]
        assert made == plain


def test_without_a_namespace_it_is_the_releases(file: Callable[..., Path], tmp_path: Path, say: Say) -> None:
    text = EVERYWHERE.replace("  namespace: research\n", "").replace("tls: Reencrypt", "tls: Passthrough")
    text = text.replace(", secretName: outside", "")
    asked = ("render", "--file", str(file(text)), "--secrets", "ExternalSecret", "--format", "helm")
    assert say(*asked, "--output", str(tmp_path / "chart"))[0] == 0
    answer = helm(tmp_path / "chart")
    made = templated(answer)
    assert "Namespace/releases" not in made
    assert {item["metadata"].get("namespace") for item in made.values()} == {None}
    names = made["Certificate/chest-study-superlink-tls"]["spec"]["dnsNames"]
    assert names == names_with("releases")["certificate"]


def test_values_reach_what_they_are_for(chart: Rendered) -> None:
    folder, plain = chart("Colocated")
    values = {
        "namespace": "elsewhere",
        "createNamespace": False,
        "images": {
            "app": "registry.example.org/app:2",
            "superlink": "registry.example.org/superlink:1",
            "proxy": "registry.example.org/nginx:1",
        },
        "imagePullSecrets": [],
        "resources": {"supernodes": {"clinic": {"limits": {"memory": "8Gi"}}}},
        "storage": {"size": "20Gi", "storageClassName": ""},
        "results": {"storageClassName": "slow"},
    }
    made = templated(helm(folder, values))
    assert made.keys() == plain.keys() - {"Namespace/research"}
    assert {item["metadata"]["namespace"] for item in made.values()} == {"elsewhere"}
    pods = {name: item["spec"]["template"]["spec"] for name, item in made.items() if "template" in item.get("spec", {})}
    assert {one["image"] for spec in pods.values() for one in spec["containers"]} == {
        "registry.example.org/app:2",
        "registry.example.org/superlink:1",
        "registry.example.org/nginx:1",
    }
    assert not any("imagePullSecrets" in spec for spec in pods.values())
    limits = {name: spec["containers"][0]["resources"]["limits"]["memory"] for name, spec in pods.items()}
    assert (limits["StatefulSet/chest-study-clinic"], limits["StatefulSet/chest-study-hospital"]) == ("8Gi", "4Gi")
    (claim,) = made["StatefulSet/chest-study-superlink"]["spec"]["volumeClaimTemplates"]
    assert claim["spec"] == {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "20Gi"}}}
    assert made["PersistentVolumeClaim/chest-study-results"]["spec"]["storageClassName"] == "slow"


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"replicas": 3}, "replicas"),
        ({"images": {"app": "Not An Image"}}, "pattern"),
        ({"storage": {"size": "much"}}, "storage"),
        ({"resources": {"supernodes": {"nobody": {}}}}, "nobody"),
        ({"namespace": "Research"}, "namespace"),
    ],
)
def test_wrong_values_are_refused(chart: Rendered, values: dict[str, Any], word: str) -> None:
    folder, _ = chart("Colocated")
    assert word in helm(folder, values)["error"]


def test_values_are_few_and_each_is_explained(chart: Rendered) -> None:
    folder, _ = chart("Colocated")
    text = (folder / "values.yaml").read_text()
    values = yaml.safe_load(text)
    assert list(values) == [
        "namespace",
        "createNamespace",
        "images",
        "imagePullSecrets",
        "resources",
        "results",
        "storage",
    ]
    assert all(part.startswith("# ") for part in text.split("\n\n"))
    schema = json.loads((folder / "values.schema.json").read_text())
    assert schema["properties"].keys() == {*values, "global"}
