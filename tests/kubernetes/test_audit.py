"""``flowerbed audit``: each check is shown to fail on a file made for it, and to say nothing of the others.

A caret marks the place that a finding points to.
"""

# ruff: noqa: E501 (tables have one case on a line)

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowerbed.flower.releases import find
from flowerbed.kubernetes.audit.checks import CHECKS
from flowerbed.kubernetes.audit.model import Audited, Severity, audit
from flowerbed.spec.load import parse

Say = Callable[..., tuple[int, str]]

DIGEST = f"sha256:{'0' * 64}"
HEAD = "apiVersion: flowerbed.dev/v1alpha1\nkind: Federation\n"
CLEAN = (
    HEAD
    + f"""metadata: {{name: demo, namespace: research}}
spec:
  app: {{image: "ghcr.io/example/app:1.0@{DIGEST}"}}
  images: {{digests: {{superlink: "{DIGEST}"}}, PROXY}}
  SUPERNODES
  MORE
"""
)


PROXY = f'proxy: "example/nginx:1@{DIGEST}"'


def clean(more: str = "", supernodes: str = "supernodes: [{name: site}]") -> str:
    return (
        CLEAN.replace("PROXY", PROXY)
        .replace("SUPERNODES", supernodes)
        .replace("  MORE\n", f"  {more}\n" if more else "")
    )


def pool(said: str) -> str:
    return clean(supernodes=f"supernodes: [{{name: site, {said}}}]")


def found(text: str, release: str = "1.42") -> list[tuple[str, str, str]]:
    """Return (id, place, message) of what is found."""
    loaded = parse(text, "f")
    results = audit(CHECKS, Audited.of(loaded.federation, find(release)))
    placed = [(result.check.id, loaded.problem(result.finding)) for result in results]
    assert all(problem.hint for _, problem in placed)
    return [(name, f"{problem.line}:{problem.column}", problem.message) for name, problem in placed]


def test_nothing_is_said_of_a_file_that_does_what_it_can() -> None:
    assert found(clean()) == []


def test_what_remains_of_the_smallest_file_that_can_be_brought_up() -> None:
    text = HEAD + "metadata: {name: demo}\nspec: {app: {image: example/app:1}, supernodes: [{name: site}]}\n"
    assert [name for name, *_ in found(text)] == ["image-unpinned"] * 3 + ["namespace-shared"]
    severities = {
        result.check.severity for result in audit(CHECKS, Audited.of(parse(text, "f").federation, find("1.42")))
    }
    assert severities == {Severity.NOTE}


METADATA = "169.254.169.254"

FAULTS = [
    ("network-policies-missing", clean("security: {networkPolicies: ^Disabled}"),
     "spec.security.networkPolicies: no NetworkPolicies are made: every Pod of the cluster reaches the SuperLink, and can submit code"),
    ("access-open", clean("access: [^{namespaceSelector: {}}]"),
     "spec.access[0]: every Pod of the cluster reaches the SuperLink at port 9093"),
    ("access-whole-namespace", clean("access: [^{namespaceSelector: {matchLabels: {team: imaging}}}]"),
     "spec.access[0]: all Pods of the namespaces that it selects reach the SuperLink"),
    ("control-open", clean("security: {controlApi: ^Open}"),
     "spec.security.controlApi: whoever reaches the SuperLink's port for users can submit code: Flower asks nobody who they are"),
    ("access-fleet-is-control", clean("security: {controlApi: Open}\n  access: [{podSelector: {matchLabels: {app: site}}, apis: ^[Fleet]}]"),
     "spec.access[0].apis: Flower 1.42 has one port for both APIs: who reaches Fleet reaches Control as well"),
    ("egress-credentials", pool("egress: [^{cidr: 169.254.0.0/16, ports: [{port: 443}, {port: 80}]}]"),
     f"spec.supernodes[0].egress[0]: it lets programs reach {METADATA}, where clouds hand out the node's credentials"),
    ("egress-anywhere", clean("serverapp: {egress: [^{cidr: 0.0.0.0/0, except: [169.254.0.0/16], ports: [{port: 443}]}]}"),
     "spec.serverapp.egress[0]: it lets programs reach 0.0.0.0/0: whatever they read can be sent anywhere"),
    ("host-path", pool("volumes: [{name: data, mountPath: /srv, hostPath: ^{path: /mnt/x}}]"),
     "spec.supernodes[0].volumes[0].hostPath: /mnt/x of the node is mounted, so the namespace cannot enforce Pod Security"),
    ("secret-in-file", pool("env: {HF_TOKEN: ^abc}"),
     "spec.supernodes[0].env.HF_TOKEN: looks like a secret, and stands in the file, in Git, and in objects for all who may read them"),
    ("image-moves", clean("superlink: {image: ^flwr/superlink}").replace("digests: {superlink: \"" + DIGEST + "\"}, ", ""),
     "spec.superlink.image: flwr/superlink is another image tomorrow: Pods of one federation, and of one run, may differ"),
    ("image-unpinned", clean().replace(f'"ghcr.io/example/app:1.0@{DIGEST}"', "^ghcr.io/example/app:1.0"),
     "spec.app.image: ghcr.io/example/app:1.0 has no digest: whoever can push to its registry can change what runs"),
    ("tolerates-everything", clean("superlink: {tolerations: [^{operator: Exists}]}"),
     "spec.superlink.tolerations[0]: tolerates every taint: Pods also go to the control plane's nodes, and to nodes that fail"),
    ("drain-ends-runs", clean("nodeDrain: ^Proceed"), "spec.nodeDrain: a node drain ends a run that is going on"),
    ("namespace-shared", clean().replace("research", "^default"),
     "metadata.namespace: default is not the federation's own: whoever can make Pods in it can reach the SuperLink"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "message"), FAULTS, ids=[name for name, *_ in FAULTS])
def test_each_check_fails_on_a_file_made_for_it_and_only_that(name: str, text: str, message: str) -> None:
    before, _, after = text.partition("^")
    place = f"{before.count(chr(10)) + 1}:{len(before) - (before.rfind(chr(10)) + 1) + 1}"
    others = {
        "access-open": {"access-whole-namespace"},  # what is open to all is open to whole namespaces
        "access-fleet-is-control": {"control-open"},  # and only then it is
    }.get(name, set())
    said = found(before + after)
    assert (name, place, message) in said
    assert {one for one, *_ in said} == {name} | others


def test_quickstart_passes_few() -> None:
    text = clean("layout: Quickstart").replace('superlink: "', f'supernode: "{DIGEST}", superlink: "')
    assert {name: message for name, _, message in found(text)} == {
        "tls-disabled": (
            "spec.security.tls.mode: connections are not encrypted, and nobody can tell whether the SuperLink is the one"
            " that is meant"
        ),
        "node-auth-off": "spec.security.nodeAuth: whoever reaches the SuperLink can join as a SuperNode",
        "network-policies-missing": (
            "spec.layout: no NetworkPolicies are made with layout: Quickstart: every Pod of the cluster reaches the SuperLink"
        ),
        "pod-security": (
            "spec.layout: Pods do not pass Pod Security `restricted`: no seccomp profile, they keep capabilities,"
            " they may gain privileges, they may run as root"
        ),
    }


def test_what_may_be_chosen_and_is_not_safe() -> None:
    text = clean("security: {tls: {mode: Disabled}, nodeAuth: false}")
    loaded = parse(text, "f")
    results = {result.check.id for result in audit(CHECKS, Audited.of(loaded.federation, find("1.42")))}
    assert results == {"tls-disabled", "node-auth-off"}


def test_every_check_was_shown_to_fail() -> None:
    shown = {name for name, *_ in FAULTS} | {"pod-security", "tls-disabled", "node-auth-off"}
    assert [check.id for check in CHECKS if check.id not in shown] == []
    assert len({check.id for check in CHECKS}) == len(CHECKS)


@pytest.mark.parametrize(
    "text",
    [
        clean("access: [{preset: Thunderline}]"),
        clean("access: [{namespaceSelector: {}, podSelector: {matchLabels: {app: site}}}]"),
        pool("egress: [{cidr: 10.0.0.0/8, ports: [{port: 443}]}]"),
        pool("egress: [{podSelector: {}, ports: [{port: 80}]}]"),
        pool("env: {TOKENIZERS_PARALLELISM: 'false', KEY_FILE: /etc/key, URL: 'https://example.org/a:b@c'}"),
        clean("run: {config: {max-token: 5}}"),
    ],
)
def test_what_is_as_it_should_be_is_left_alone(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    "said",
    [
        "env: {DB_PASSWORD: x}",
        "env: {aws_secret_access_key: x}",
        "env: {DATABASE: 'postgres://ann:secret@db.example.org/x'}",
        "nodeConfig: {api-key: x}",
    ],
)
def test_what_looks_like_a_secret(said: str) -> None:
    assert [name for name, *_ in found(pool(said))] == ["secret-in-file"]


def test_credentials_by_one_item_are_not_blamed_on_another() -> None:
    items = "[{cidr: 0.0.0.0/1, ports: [{port: 80}]}, {cidr: 128.0.0.0/1, ports: [{port: 80}]}]"
    said = [(name, message.partition(":")[0]) for name, _, message in found(pool(f"egress: {items}"))]
    assert said == [("egress-credentials", "spec.supernodes[0].egress[1]")]


def test_fleet_is_apart_on_releases_that_have_a_port_for_it() -> None:
    text = clean("access: [{podSelector: {matchLabels: {app: site}}, apis: [Fleet]}]")
    for release in ("1.22", "1.37", "1.42"):
        assert found(text, release) == []
    opened = text.replace("  access:", "  security: {controlApi: Open}\n  access:")
    assert [name for name, *_ in found(opened, "1.22")] == ["control-open"]
    assert [name for name, *_ in found(opened, "1.37")] == ["control-open"]


# The command.


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], str]:
    def written(text: str) -> str:
        path = tmp_path / "federation.yaml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return written


def test_lines_and_the_exit_status(write: Callable[[str], str], say: Say) -> None:
    file = write(clean("nodeDrain: Proceed"))
    status, said = say("audit", "--file", file)
    assert status == 0
    assert said == (
        f"{file}:8:14: note drain-ends-runs: spec.nodeDrain: a node drain ends a run that is going on\n"
        "  leave it out, and drain by hand\n"
        f"{len(CHECKS)} checks: 1 note\n"
    )
    assert say("audit", "--file", file, "--fail-on", "note")[0] == 1
    bad = write(clean("security: {networkPolicies: Disabled}"))
    assert say("audit", "--file", bad)[0] == 1
    assert say("audit", "--file", bad, "--fail-on", "never")[0] == 0
    assert say("audit", "--file", bad, "--skip", "network-policies-missing")[0] == 0
    assert say("audit", "--file", write(clean()))[1].endswith("checks: nothing to say\n")


def test_a_file_without_an_image_can_be_audited(write: Callable[[str], str], say: Say) -> None:
    file = write(HEAD + "metadata: {name: demo, namespace: own}\nspec: {supernodes: [{name: site}]}\n")
    status, said = say("audit", "--file", file)
    assert (status, "no-image-yet" in said) == (0, False)


def test_json_lines(write: Callable[[str], str], say: Say) -> None:
    file = write(clean("nodeDrain: Proceed"))
    status, said = say("audit", "--file", file, "--json")
    assert status == 0
    assert json.loads(said) == {
        "type": "finding",
        "id": "drain-ends-runs",
        "severity": "note",
        "message": "spec.nodeDrain: a node drain ends a run that is going on",
        "fix": "leave it out, and drain by hand",
        "file": file,
        "line": 8,
        "column": 14,
    }


def test_sarif(write: Callable[[str], str], say: Say) -> None:
    """What the specification requires of a log (sections 3.13, 3.14, 3.19, 3.27), and the index of each rule."""
    file = write(clean("nodeDrain: Proceed\n  access: [{namespaceSelector: {}}]"))
    status, said = say("audit", "--file", file, "--format", "sarif")
    assert status == 1
    log: dict[str, Any] = json.loads(said)
    assert (log["version"], log["$schema"].endswith("sarif-schema-2.1.0.json")) == ("2.1.0", True)
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert run["tool"]["driver"]["name"] == "flowerbed"
    assert [rule["id"] for rule in rules] == [check.id for check in CHECKS]
    assert {"access-open", "drain-ends-runs"} <= {result["ruleId"] for result in run["results"]}
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert rules[result["ruleIndex"]]["defaultConfiguration"]["level"] == result["level"]
        assert result["message"]["text"]
        (location,) = result["locations"]
        assert location["physicalLocation"]["artifactLocation"]["uri"] == file
        assert location["physicalLocation"]["region"]["startLine"] >= 1


def test_mistakes(write: Callable[[str], str], say: Say) -> None:
    file = write(clean())
    status, said = say("audit", "--file", file, "--skip", "acess-open")
    assert (status, 'Did you mean "access-open"?' in said) == (2, True)
    status, said = say("audit", "--file", file, "--format", "sarif", "--json")
    assert (status, "two formats" in said) == (2, True)
