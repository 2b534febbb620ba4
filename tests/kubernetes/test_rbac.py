"""``flowerbed rbac``: what is printed for whom."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from flowerbed.flower.releases import find
from flowerbed.kubernetes import permissions
from flowerbed.kubernetes.applying import KINDS
from flowerbed.kubernetes.cluster import API_VERSIONS
from flowerbed.kubernetes.manifests.objects import objects
from kubernetes.federations import FULL, SMALL, federation

Say = Callable[..., tuple[int, str]]
RBAC = "rbac.authorization.k8s.io"


def printed(said: tuple[int, str]) -> list[dict[str, Any]]:
    status, text = said
    assert status == 0, text
    return list(yaml.safe_load_all(text))


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "federation.yaml"
    path.write_text(FULL.replace("LAYOUT", "Colocated"), encoding="utf-8")
    return str(path)


def test_two_roles_in_the_files_namespace(say: Say, file: str) -> None:
    up, run = printed(say("rbac", "--file", file))
    assert [up["kind"], run["kind"]] == ["Role", "Role"]
    assert up["metadata"] == {"name": "flowerbed", "namespace": "research"}
    assert run["metadata"] == {"name": "flowerbed-runs", "namespace": "research"}
    assert up["rules"] == [permissions.as_rule(rule) for rule in permissions.RULES]
    assert run["rules"] == [permissions.as_rule(rule) for rule in permissions.RUN_RULES]
    assert printed(say("rbac", "--file", file, "--for", "run")) == [run]


def test_without_a_namespace_they_are_for_whichever_they_are_applied_to(say: Say, tmp_path: Path) -> None:
    path = tmp_path / "federation.yaml"
    path.write_text(SMALL.replace("LAYOUT", "Colocated"), encoding="utf-8")
    assert {"namespace" in item["metadata"] for item in printed(say("rbac", "--file", str(path)))} == {False}
    there = printed(say("rbac", "--file", "nowhere", "--namespace", "lab"))
    assert {item["metadata"]["namespace"] for item in there} == {"lab"}


@pytest.mark.parametrize(
    ("word", "subject"),
    [
        ("user:ann@example.org", {"apiGroup": RBAC, "kind": "User", "name": "ann@example.org"}),
        ("user:oidc:ann", {"apiGroup": RBAC, "kind": "User", "name": "oidc:ann"}),
        ("group:imaging", {"apiGroup": RBAC, "kind": "Group", "name": "imaging"}),
        ("serviceaccount:ci:runner", {"kind": "ServiceAccount", "name": "runner", "namespace": "ci"}),
        ("user:system:serviceaccount:ci:runner", {"kind": "ServiceAccount", "name": "runner", "namespace": "ci"}),
    ],
)
def test_a_binding(say: Say, word: str, subject: dict[str, str]) -> None:
    role, binding = printed(say("rbac", "--namespace", "lab", "--for", "run", "--bind", word))
    assert binding == {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "flowerbed-runs", "namespace": "lab"},
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": "flowerbed-runs"},
        "subjects": [subject],
    }
    assert role["metadata"] == binding["metadata"]


def test_one_binding_for_several(say: Say) -> None:
    _, binding = printed(say("rbac", "--namespace", "lab", "--for", "up", "--bind", "user:ann", "--bind", "group:ops"))
    assert [one["name"] for one in binding["subjects"]] == ["ann", "ops"]


@pytest.mark.parametrize("word", ["ann", "user:", "serviceaccount:runner", "serviceaccount:a:b:c", "team:x", ""])
def test_who_is_nobody(say: Say, word: str) -> None:
    status, said = say("rbac", "--namespace", "lab", "--for", "up", f"--bind={word}")
    assert status == 2
    assert "names nobody" in said
    assert "user:NAME, group:NAME or serviceaccount:NAMESPACE:NAME" in said


def test_other_mistakes(say: Say) -> None:
    status, said = say("rbac", "--namespace", "lab", "--bind", "user:ann")
    assert (status, "--for up, or --for run" in said) == (2, True)
    status, said = say("rbac", "--namespace", "My Lab")
    assert (status, "is not a namespace" in said) == (2, True)


def test_json_has_an_object_on_each_line(say: Say) -> None:
    _, said = say("rbac", "--namespace", "lab", "--json")
    lines = [json.loads(line) for line in said.splitlines()]
    assert [(line["type"], line["kind"], line["name"]) for line in lines] == [
        ("object", "Role", "flowerbed"),
        ("object", "Role", "flowerbed-runs"),
    ]


PLURALS = {kind: f"{kind.lower()}s" for kind in API_VERSIONS} | {"NetworkPolicy": "networkpolicies"}


@pytest.mark.parametrize("layout", ["Colocated", "Quickstart"])
def test_whatever_is_made_can_be_applied_found_again_and_removed_by_who_has_the_role(layout: str) -> None:
    made = objects(federation(FULL, layout), find("1.42"), namespace="elsewhere")
    for kind, version in {(item["kind"], item["apiVersion"]) for item in made}:
        assert API_VERSIONS[kind] == version
        assert kind in (*KINDS, "PersistentVolumeClaim")  # it is removed when the file no longer has it
        group = version.rpartition("/")[0]
        for verb in ("get", "list", "create", "patch", "delete"):
            assert permissions.allows(permissions.RULES, verb, PLURALS[kind], group), (verb, kind)
