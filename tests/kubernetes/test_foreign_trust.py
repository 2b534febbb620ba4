"""A SuperLink's certificate that somebody else keeps: who mounts what, what is asked for, what is refused."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from flowerbed.errors import TrustError
from flowerbed.flower.releases import find
from flowerbed.flower.values import Trusted
from flowerbed.kubernetes import foreign_trust, issuing, permissions
from flowerbed.kubernetes.manifests import trust
from flowerbed.kubernetes.manifests.run_job import run_job
from flowerbed.kubernetes.manifests.trust_sources import trust_sources
from kubernetes.federations import SMALL, container, federation, rendered, workloads
from trust.someone import NOW, Someone

Say = Callable[..., tuple[int, str]]

SECRET = "{mode: Secret, secretName: given}"
CONFIG_MAP = "{mode: Secret, secretName: given, trustBundle: {configMapKeyRef: {name: roots, key: all.pem}}}"
CERT_MANAGER = (
    "{mode: CertManager, issuerRef: {name: lab, kind: ClusterIssuer}, externalNames: [fl.example.org, 192.0.2.7]}"
)
AUTO = "{mode: Auto}"


def text(tls: str) -> str:
    return f"{SMALL}  security: {{tls: {tls}}}\n"


def files(pod: dict[str, Any]) -> dict[str, str]:
    """Return where each file of the trust folder comes from; of a volume without items, which keys are meant."""
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    found = {}
    for mount in pod["containers"][0]["volumeMounts"]:
        volume = volumes.get(mount["name"], {})  # a claim of a template has none
        source = volume.get("secret") or volume.get("configMap")
        if source is None or not mount["mountPath"].startswith(trust.FOLDER):
            continue
        name = source.get("secretName") or source["name"]
        kind = "secret" if "secret" in volume else "configmap"
        for item in source.get("items") or [{"key": "*", "path": "*"}]:
            found[f"{mount['mountPath'].removeprefix(trust.FOLDER)}/{item['path']}"] = f"{kind}/{name}/{item['key']}"
    return found


def pods(tls: str, flower: str = "1.42") -> dict[str, dict[str, Any]]:
    made = {item["metadata"]["name"]: item["spec"]["template"]["spec"] for item in workloads(rendered(text(tls)))}
    file = federation(text(tls))
    job = run_job("demo", "ns", 1, find(flower), file.spec, config={}, baked=False)
    return {**made, "job": job["spec"]["template"]["spec"]}


OWN = {
    "/superexec/*": "secret/demo-superexec/*",
    "/nodes/*": "configmap/demo-nodes/*",
}
SUPERNODE = {
    "/supernode/*": "secret/demo-supernode/*",
    "/keys/*": "secret/demo-site-keys/*",
}


@pytest.mark.parametrize(
    ("tls", "superlink", "clients", "supernode"),
    [
        (
            AUTO,
            {"/authority/*": "configmap/demo-authority/*", "/superlink/*": "secret/demo-superlink-tls/*"},
            {"/authority/*": "configmap/demo-authority/*"},
            {},
        ),
        (
            SECRET,
            {"/authority/ca.crt": "secret/given/ca.crt"}
            | {f"/superlink/tls.{part}": f"secret/given/tls.{part}" for part in ("crt", "key")},
            {"/authority/ca.crt": "secret/given/ca.crt"},
            {"/loopback/*": "configmap/demo-authority/*"},
        ),
        (
            CONFIG_MAP,
            {"/authority/ca.crt": "configmap/roots/all.pem"}
            | {f"/superlink/tls.{part}": f"secret/given/tls.{part}" for part in ("crt", "key")},
            {"/authority/ca.crt": "configmap/roots/all.pem"},
            {"/loopback/*": "configmap/demo-authority/*"},
        ),
        (
            CERT_MANAGER,
            {"/authority/ca.crt": "secret/demo-superlink-tls/ca.crt"}
            | {f"/superlink/tls.{part}": f"secret/demo-superlink-tls/tls.{part}" for part in ("crt", "key")},
            {"/authority/ca.crt": "secret/demo-superlink-tls/ca.crt"},
            {"/loopback/*": "configmap/demo-authority/*"},
        ),
    ],
)
def test_who_gets_which_file(
    tls: str, superlink: dict[str, str], clients: dict[str, str], supernode: dict[str, str]
) -> None:
    found = {name: files(pod) for name, pod in pods(tls).items()}
    assert found["demo-superlink"] == superlink | supernode | OWN  # the proxy asks for what Flowerbed's authority signs
    assert found["demo-superexec-serverapp"] == clients | {"/superexec/*": OWN["/superexec/*"]}
    assert found["demo-site"] == clients | supernode | SUPERNODE
    assert found["job"] == clients | {"/control-client/*": "secret/demo-control-client/*"}


def test_who_dials_a_supernode_trusts_flowerbeds_authority_alone() -> None:
    """The SuperNode and its SuperExec are one container, so it is their flags that tell the two bundles apart."""
    args = container(
        next(
            item
            for item in workloads(rendered(text(SECRET)))
            if item["kind"] == "StatefulSet" and "site" in item["metadata"]["name"]
        )
    )["args"]
    groups: list[list[str]] = []
    current: list[str] = []
    for word in [*args, "--"]:
        if word == "--":
            groups.append(current)
            current = []
        else:
            current.append(word)
    unit, node, superexec = groups
    assert node[node.index("--root-certificates") + 1] == trust.AUTHORITY
    assert node[node.index("--ssl-ca-certfile") + 1] == trust.LOOPBACK_AUTHORITY
    assert superexec[superexec.index("--root-certificates") + 1] == trust.LOOPBACK_AUTHORITY
    assert unit[unit.index("--end-when-changed") + 1] == trust.AUTHORITY


@pytest.mark.parametrize("tls", [SECRET, CERT_MANAGER])
def test_every_program_is_started_again_when_what_it_reads_changes(tls: str) -> None:
    watched = {}
    for item in workloads(rendered(text(tls))):
        args = container(item)["args"]
        watched[item["metadata"]["name"]] = [
            args[at + 1] for at, word in enumerate(args) if word == "--end-when-changed"
        ]
    assert watched == {
        "demo-superlink": [f"{trust.FOLDER}/superlink/tls.crt", trust.AUTHORITY],
        "demo-superexec-serverapp": [trust.AUTHORITY],
        "demo-site": [trust.AUTHORITY],
    }


def test_every_file_that_a_program_is_told_of_is_mounted() -> None:
    for tls in (AUTO, SECRET, CONFIG_MAP, CERT_MANAGER):
        sources = trust_sources("demo", federation(text(tls)).spec)
        minor = find("1.42").minor
        for kept in (
            trust.of_superlink(sources, minor, node_auth=True, closed=True, database="/data/state.db"),
            trust.of_serverapp(sources, minor),
            trust.of_supernode(sources, minor, "site", node_auth=True, refused="x"),
            trust.of_run(sources, client=True),
        ):
            folders = {mount["mountPath"] for mount in kept.mounts}
            for what, path in kept.files.items():
                if what not in (Trusted.NODE_KEY, Trusted.NODE_PUBLIC_KEY):  # copied by the unit
                    assert path.rpartition("/")[0] in folders


# What cert-manager is asked for.

CERTIFICATE_SCHEMA = {
    "type": "object",
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "additionalProperties": False,
    "properties": {
        "apiVersion": {"const": "cert-manager.io/v1"},
        "kind": {"const": "Certificate"},
        "metadata": {"type": "object"},
        "spec": {
            "type": "object",
            "additionalProperties": False,
            "required": ["issuerRef", "secretName"],
            "properties": {
                "secretName": {"type": "string"},
                "secretTemplate": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                        "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
                    },
                },
                "issuerRef": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["name"],
                    "properties": {key: {"type": "string"} for key in ("name", "kind", "group")},
                },
                "privateKey": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "algorithm": {"enum": ["RSA", "ECDSA", "Ed25519"]},
                        "encoding": {"enum": ["PKCS1", "PKCS8"]},
                        "rotationPolicy": {"enum": ["Never", "Always"]},
                        "size": {"type": "integer"},
                    },
                },
                "usages": {
                    "type": "array",
                    "items": {"enum": ["digital signature", "key encipherment", "server auth"]},
                },
                "duration": {"type": "string", "pattern": "^([0-9]+h)?[0-9]+m[0-9]+s$"},
                "renewBefore": {"type": "string", "pattern": "^([0-9]+h)?[0-9]+m[0-9]+s$"},
                "dnsNames": {"type": "array", "items": {"type": "string"}},
                "ipAddresses": {"type": "array", "items": {"type": "string"}},
            },
        },
    },
}
"""The fields in use of cert-manager's CustomResourceDefinition (cert-manager/cert-manager at 1.x,
deploy/crds/cert-manager.io_certificates.yaml), as strictly as the API server prunes."""


def certificate_of(tls: str) -> dict[str, Any]:
    (made,) = [item for item in rendered(text(tls)) if item["kind"] == "Certificate"]
    return made


def test_the_certificate_that_is_asked_for() -> None:
    made = certificate_of(CERT_MANAGER)
    Draft202012Validator(CERTIFICATE_SCHEMA).validate(made)
    spec = made["spec"]
    assert spec["issuerRef"] == {"name": "lab", "kind": "ClusterIssuer", "group": "cert-manager.io"}
    assert spec["secretName"] == made["metadata"]["name"] == "demo-superlink-tls"
    assert spec["dnsNames"] == ["localhost", "demo-superlink", "fl.example.org"]
    assert spec["ipAddresses"] == ["127.0.0.1", "::1", "192.0.2.7"]
    assert (spec["duration"], spec["renewBefore"]) == ("2160h0m0s", "720h0m0s")
    assert made["metadata"]["labels"] == spec["secretTemplate"]["labels"]
    short = certificate_of("{mode: CertManager, issuerRef: {name: lab}, duration: 90m, renewBefore: 20m}")["spec"]
    assert (short["duration"], short["renewBefore"]) == ("1h30m0s", "20m0s")


@pytest.mark.parametrize("tls", [AUTO, SECRET, "{mode: Disabled}"])
def test_no_certificate_is_asked_for_in_another_mode(tls: str) -> None:
    assert [item for item in rendered(text(tls)) if item["kind"] == "Certificate"] == []


def condition(kind: str, status: str, **more: object) -> dict[str, Any]:
    return {"type": kind, "status": status, **more}


def request(revision: int, *conditions: dict[str, Any]) -> dict[str, Any]:
    annotations = {"cert-manager.io/certificate-name": "tls", "cert-manager.io/certificate-revision": str(revision)}
    return {
        "metadata": {"name": f"tls-{revision}", "annotations": annotations},
        "spec": {"issuerRef": {"name": "lab", "kind": "VaultIssuer", "group": "vault.example.org"}},
        "status": {"conditions": list(conditions)},
    }


def asked(*conditions: dict[str, Any], generation: int = 1) -> dict[str, Any]:
    return {"metadata": {"name": "tls", "generation": generation}, "status": {"conditions": list(conditions)}}


def test_a_certificate_is_issued_when_its_newest_spec_is() -> None:
    assert issuing.issued(asked(condition("Ready", "True", observedGeneration=2), generation=2))
    assert not issuing.issued(asked(condition("Ready", "True", observedGeneration=1), generation=2))
    assert not issuing.issued(asked(condition("Ready", "False", observedGeneration=1)))
    assert not issuing.issued(None)


NOBODY = (
    "nobody has answered the request tls-1: does the controller of VaultIssuer lab in vault.example.org run,"
    " and is the request approved?"
)
MISSING = "Issuing certificate as Secret does not exist"
NO_ISSUER = 'Referenced "Issuer" not found: issuer.cert-manager.io "lab" not found'


@pytest.mark.parametrize(
    ("certificate", "requests", "why"),
    [
        (None, [], "the Certificate is gone"),
        (asked(), [], "nobody has looked at the Certificate yet: does cert-manager run?"),
        (asked(condition("Issuing", "True", message=MISSING)), [], MISSING),
        (
            asked(condition("Issuing", "True", message=MISSING)),
            [request(2, condition("Ready", "False", reason="Pending", message=NO_ISSUER)), request(1)],
            f"the request tls-2 is not answered: {NO_ISSUER}",
        ),
        (
            asked(condition("Issuing", "True", message=MISSING)),
            [request(1, condition("Denied", "True", message="not by policy"))],
            "the request tls-1 is Denied: not by policy",
        ),
        (
            asked(condition("Issuing", "True", message=MISSING)),
            [request(1)],
            NOBODY,
        ),
    ],
)
def test_why_it_is_not_issued(certificate: dict[str, Any] | None, requests: list[dict[str, Any]], why: str) -> None:
    assert issuing.why_not(certificate, requests) == why


def test_rights_for_cert_manager_are_asked_for_only_with_it(say: Say, tmp_path: Path) -> None:
    groups = {}
    for tls in (SECRET, CERT_MANAGER):
        file = tmp_path / "federation.yaml"
        file.write_text(text(tls).replace("LAYOUT", "Colocated"), encoding="utf-8")
        status, printed = say("rbac", "--file", str(file))
        assert status == 0, printed
        up, run = yaml.safe_load_all(printed)
        assert run["rules"] == [permissions.as_rule(rule) for rule in permissions.RUN_RULES]
        groups[tls] = [rule for rule in up["rules"] if rule["apiGroups"] == ["cert-manager.io"]]
    assert groups == {SECRET: [], CERT_MANAGER: [permissions.as_rule(rule) for rule in permissions.CERT_MANAGER_RULES]}


# What is there, and what is said against it.


class Namespace:
    """What somebody else put there."""

    def __init__(self, *, by: Someone | None = None, **more: Any) -> None:
        self.root = by or Someone("Root", ca=True)
        leaf = Someone("leaf", self.root, server=True, **more)
        secret = {"tls.crt": leaf.pem, "tls.key": leaf.private, "ca.crt": self.root.pem}
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.put("Secret", "given", {key: base64.b64encode(value).decode() for key, value in secret.items()})

    def put(self, kind: str, name: str, data: dict[str, str]) -> None:
        self.objects[kind, name] = {"kind": kind, "metadata": {"name": name}, "data": data}

    def drop(self, key: str) -> None:
        del self.objects["Secret", "given"]["data"][key]

    def find(self, kind: str, name: str) -> dict[str, Any] | None:
        return self.objects.get((kind, name))


def read(there: Namespace, tls: str = SECRET) -> foreign_trust.Foreign:
    return foreign_trust.read(federation(text(tls)), "research", there.find, NOW)


def test_what_is_whole_is_taken() -> None:
    there = Namespace(names=("demo-superlink", "127.0.0.1"))
    assert read(there).bundle == there.root.pem
    there.put("ConfigMap", "roots", {"all.pem": there.root.pem.decode()})
    there.drop("ca.crt")
    assert read(there, CONFIG_MAP).bundle == there.root.pem


UNTRUSTED = "whoever trusts it does not trust the certificate in secret/given"


def gone() -> Namespace:
    there = Namespace()
    there.objects.clear()
    return there


def without(key: str) -> Namespace:
    there = Namespace()
    there.drop(key)
    return there


def other_bundle() -> Namespace:
    there = Namespace()
    there.objects["Secret", "given"]["data"]["ca.crt"] = base64.b64encode(Someone("Other", ca=True).pem).decode()
    return there


@pytest.mark.parametrize(
    ("make", "tls", "where", "why"),
    [
        (gone, SECRET, "secret/given", "there is no such Secret"),
        (lambda: without("tls.key"), SECRET, "secret/given", "has no tls.key"),
        (lambda: without("ca.crt"), SECRET, "secret/given", "has no ca.crt, so nobody knows whom to trust"),
        (Namespace, CONFIG_MAP, "configmap/roots", "there is no such ConfigMap"),
        (lambda: Namespace(names=("demo-superlink",)), SECRET, "secret/given", "the certificate is not for 127.0.0.1"),
        (
            lambda: Namespace(begins=-9, ends=-1),
            SECRET,
            "secret/given",
            f"the certificate ended on {NOW - timedelta(days=1):%Y-%m-%d %H:%M} UTC",
        ),
        (
            other_bundle,
            SECRET,
            "secret/given, ca.crt",
            f"{UNTRUSTED}: it has nobody who signed CN=leaf, whose issuer is CN=Root",
        ),
    ],
)
def test_what_is_wrong_is_said(make: Callable[[], Namespace], tls: str, where: str, why: str) -> None:
    with pytest.raises(TrustError) as caught:
        read(make(), tls)
    assert (caught.value.where, caught.value.message) == (f"{where} in the namespace research", why)
    assert caught.value.hint


def test_names_outside_have_to_be_in_it() -> None:
    wanted = SECRET.replace("}", ", externalNames: [fl.example.org]}")
    with pytest.raises(TrustError, match=r"the certificate is not for fl\.example\.org"):
        read(Namespace(), wanted)
    assert read(Namespace(names=("demo-superlink", "127.0.0.1", "*.example.org")), wanted)


def test_on_this_machine_they_are_refused(say: Say, tmp_path: Path) -> None:
    from flowerbed import templates

    templates.write("sklearn", tmp_path / "app", "app", None)
    file = tmp_path / "app" / "federation.yaml"
    file.write_text(text(SECRET).replace("LAYOUT", "Colocated"), encoding="utf-8")
    status, said = say("up", "--file", str(file), "--detach")
    assert status != 0
    assert "spec.security.tls.mode: Secret is for Kubernetes" in said
    assert not (tmp_path / "app" / ".flowerbed").exists()
