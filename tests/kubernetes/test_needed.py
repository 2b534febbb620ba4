"""What rendered Pods mount and is not rendered: listed, made without a cluster, and no secret among it."""

from __future__ import annotations

import base64
import json
import secrets
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from flowerbed.flower.releases import find
from flowerbed.kubernetes import trusting
from flowerbed.kubernetes.manifests import names, programs
from flowerbed.kubernetes.manifests.identity import Identity
from flowerbed.kubernetes.manifests.needed import Needed, needed
from flowerbed.kubernetes.manifests.run_job import run_job
from kubernetes.federations import SMALL, federation, rendered, workloads

RENDERED = (*(names.programs("demo", room) for room in programs.rooms()), names.proxy("demo"))

Say = Callable[..., tuple[int, str]]

MODES = {
    "Auto": "{tls: {mode: Auto}}",
    "Auto without keys": "{tls: {mode: Auto}, nodeAuth: false}",
    "Disabled": "{tls: {mode: Disabled}}",
    "Secret": "{tls: {mode: Secret, secretName: given}}",
    "Secret and ConfigMap": "{tls: {mode: Secret, secretName: given, trustBundle: {configMapKeyRef: {name: roots}}}}",
    "Secret twice": "{tls: {mode: Secret, secretName: given, trustBundle: {secretKeyRef: {name: roots, key: a.pem}}}}",
    "CertManager": "{tls: {mode: CertManager, issuerRef: {name: lab}}}",
}

every_mode = pytest.mark.parametrize("mode", MODES)
every_family = pytest.mark.parametrize("flower", ["1.22", "1.28", "1.31", "1.42"])


def text(mode: str) -> str:
    return f"{SMALL}  security: {MODES[mode]}\n"


def listed(mode: str, flower: str = "1.42") -> list[Needed]:
    return needed(federation(text(mode)), find(flower))


def mounted(mode: str, flower: str) -> dict[tuple[str, str], set[str]]:
    """Return what Pods mount beside our programs, with the keys that they name."""
    file, row = federation(text(mode)), find(flower)
    pods = [item["spec"]["template"]["spec"] for item in workloads(rendered(text(mode), flower=flower))]
    job = run_job("demo", "ns", 1, row, file.spec, config={}, baked=False)
    found: dict[tuple[str, str], set[str]] = {}
    for pod in [*pods, job["spec"]["template"]["spec"]]:
        for volume in pod["volumes"]:
            if "secret" in volume:
                keys = found.setdefault(("Secret", volume["secret"]["secretName"]), set())
                keys |= {item["key"] for item in volume["secret"].get("items", [])}
            elif "configMap" in volume and volume["configMap"]["name"] not in RENDERED:
                keys = found.setdefault(("ConfigMap", volume["configMap"]["name"]), set())
                keys |= {item["key"] for item in volume["configMap"].get("items", [])}
    return found


@every_family
@every_mode
def test_each_is_mounted_and_all_that_is_mounted_is_listed(mode: str, flower: str) -> None:
    found = mounted(mode, flower)
    told = {(one.kind, one.name): set(one.keys) for one in listed(mode, flower)}
    assert set(told) == set(found)
    assert [key for key, keys in found.items() if not keys <= told[key]] == []


def made(mode: str, flower: str) -> list[dict[str, Any]]:
    file, row = federation(text(mode)), find(flower)
    identity = Identity.of(file, row, "research")
    trusts = trusting.wanted(file, identity, lambda _: None, now=datetime.now(UTC), random=secrets.token_bytes)
    return trusting.objects(trusts, row, identity)


@every_family
@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "Disabled"])
def test_each_that_is_flowerbeds_is_made_so(mode: str, flower: str) -> None:
    """`up` makes the authority, and what SuperExecs of newer releases need, too; no Pod may need them."""
    found = {(item["kind"], item["metadata"]["name"]): item for item in made(mode, flower)}
    told = {(one.kind, one.name): one for one in listed(mode, flower) if one.by == "flowerbed"}
    more = {("Secret", "demo-authority"), ("Secret", "demo-superexec"), ("Secret", "demo-supernode")}
    assert set(found) - set(told) <= {*more, ("ConfigMap", "demo-authority")}
    for key, one in told.items():
        assert set(found[key]["data"]) == set(one.keys), key
        assert found[key].get("type", "Opaque") == one.type


@every_mode
def test_no_secret_is_rendered_and_skeletons_hold_no_value(mode: str, tmp_path: Path, say: Say) -> None:
    file = tmp_path / "federation.yaml"
    file.write_text(text(mode).replace("LAYOUT", "Colocated"), encoding="utf-8")
    for more in ((), ("--secrets", "ExternalSecret"), ("--secrets", "SealedSecret")):
        status, said = say("render", "--file", str(file), "--json", *more)
        assert status == 0, said
        lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
        objects = [line["object"] for line in lines if line["type"] == "object"]
        told = [line for line in lines if line["type"] == "needed"]
        assert [(line["kind"], line["name"]) for line in told] == [(one.kind, one.name) for one in listed(mode)]
        assert {item["kind"] for item in objects}.isdisjoint({"Secret"})
        extra = {item["metadata"]["name"]: item for item in objects if item["kind"] in more}
        flowerbeds = {one.name: one for one in listed(mode) if one.kind == "Secret" and one.by == "flowerbed"}
        assert set(extra) == (set(flowerbeds) if more else set())
        for name, item in extra.items():
            spec = item["spec"]
            if "ExternalSecret" in more:
                keys = [one["secretKey"] for one in spec["data"]]
                assert {one["remoteRef"]["key"] for one in spec["data"]} == {name}
                assert spec["target"]["template"]["type"] == flowerbeds[name].type
            else:
                keys = list(spec["encryptedData"])
                assert set(spec["encryptedData"].values()) == {"SEALED-BY-KUBESEAL"}
                assert spec["template"]["type"] == flowerbeds[name].type
            assert tuple(keys) == flowerbeds[name].keys


@pytest.mark.parametrize("form", ["stream", "kustomize", "helm"])
def test_a_folder_has_a_page_of_them(form: str, tmp_path: Path, say: Say) -> None:
    file = tmp_path / "federation.yaml"
    file.write_text(text("Auto").replace("LAYOUT", "Colocated"), encoding="utf-8")
    arguments = ("--file", str(file), "--format", form, "--output", str(tmp_path / "out"))
    status, said = say("render", *arguments, "--secrets", "ExternalSecret")
    assert status == 0, said
    page = (tmp_path / "out" / "SECRETS.md").read_text(encoding="utf-8")
    assert [one.name for one in listed("Auto") if f"`{one.kind}/{one.name}`" not in page] == []
    everything = "".join(path.read_text() for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert everything.count("kind: ExternalSecret") == 5
    status, said = say("render", *arguments)
    assert status == 0, said
    assert not list((tmp_path / "out").rglob("secrets.yaml"))


# Made without a cluster.


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_files_are_what_up_would_make_and_stay(tmp_path: Path, say: Say) -> None:
    file, folder = tmp_path / "federation.yaml", tmp_path / "there" / "trust"
    file.write_text(text("Auto").replace("LAYOUT", "Colocated"), encoding="utf-8")
    status, said = say("trust", "make", "--file", str(file), "--output", str(folder))
    assert status == 0, said
    first = contents(folder)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}
    assert modes == {0o600, 0o700}
    objects = [yaml.safe_load(first[f"{one.name}.yaml"]) for one in listed("Auto") if one.kind == "Secret"]
    for one, item in zip((one for one in listed("Auto") if one.kind == "Secret"), objects, strict=True):
        values = {key: first[f"{one.name}/{key}"] for key in one.keys}
        assert {key: base64.b64decode(value) for key, value in item["data"].items()} == values
        assert all(value.decode("ascii") for value in values.values())
        assert (item["type"], item["metadata"]["name"]) == (one.type, one.name)
    public = list(yaml.safe_load_all(first["public.yaml"]))
    assert [item["metadata"]["name"] for item in public] == [
        one.name for one in listed("Auto") if one.kind == "ConfigMap"
    ]

    say("trust", "make", "--file", str(file), "--output", str(folder))
    assert contents(folder) == first

    file.write_text(file.read_text().replace("replicas: 2", "replicas: 3"))
    say("trust", "make", "--file", str(file), "--output", str(folder))
    then = contents(folder)
    assert sorted(set(then) - set(first)) == ["demo-site-keys/demo-site-2"]
    assert sorted(path for path in first if then[path] != first[path]) == ["demo-site-keys.yaml", "public.yaml"]

    (folder / "demo-supernode" / "tls.key").chmod(0o644)
    status, said = say("trust", "make", "--file", str(file), "--output", str(folder))
    assert (status, "can be read by others" in said) == (1, True)
    assert contents(folder) == then
