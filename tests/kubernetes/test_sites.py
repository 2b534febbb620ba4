"""Sites outside: what is made in the cluster for SuperNodes elsewhere, who reaches it, and what is not made."""

from __future__ import annotations

import base64
import json
import secrets
from datetime import UTC, datetime
from typing import Any

import pytest

from flowerbed.flower.releases import RELEASES, find
from flowerbed.kubernetes import trusting
from flowerbed.kubernetes.audit.checks import CHECKS
from flowerbed.kubernetes.audit.model import Audited, audit
from flowerbed.kubernetes.living import read
from flowerbed.kubernetes.manifests import expose
from flowerbed.kubernetes.manifests.certificate import superlink_names
from flowerbed.kubernetes.manifests.edges import dialled
from flowerbed.kubernetes.manifests.identity import Identity
from flowerbed.kubernetes.manifests.trust import admitted_nodes, external_nodes
from flowerbed.kubernetes.observing import Observer
from flowerbed.kubernetes.packaging import helm, kustomize
from flowerbed.kubernetes.reach import Outside, Pod, allowed
from flowerbed_inside.unit import node_keys
from kubernetes.federations import Object, federation, named, rendered

HEAD = """\
apiVersion: flowerbed.dev/v1alpha1
kind: Federation
metadata: {name: demo, namespace: research}
spec:
  app: {image: "ghcr.io/example/app:1.0"}
  supernodes:
    - {name: hospital, replicas: 2, external: true}
    - {name: lab}
  superlink:
    expose:
      fleetAddress: fl.example.org:443
"""
WAYS = {
    "balanced": "      service: {annotations: {example.org/internal: 'yes'}, loadBalancerClass: example.org/lb}\n",
    "balanced from": "      service: {}\n      from: [{cidr: 192.0.2.0/24}, {cidr: 198.51.100.7/32}]\n",
    "by node": "      service: {type: NodePort, nodePort: 30443}\n",
    "passthrough": "      ingress: {className: nginx}\n",
    "reencrypt": "      ingress: {tls: Reencrypt, secretName: fl-tls, annotations: {example.org/a: b}}\n",
    "gateway": "      gateway: {parentRefs: [{name: edge, namespace: gateways, sectionName: tls}]}\n"
    "      from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: gateways}}}]\n",
}
VARIANTS = [HEAD + way for way in WAYS.values()]
NAMESPACE, FLEET = "research", 9092
EVERY_FAMILY = ("1.22", "1.31", "1.36", "1.37", "1.42")


def made(way: str, flower: str = "1.42") -> dict[str, Object]:
    return {named(item): item for item in rendered(HEAD + WAYS.get(way, ""), flower=flower)}


def service(way: str, flower: str = "1.42") -> Object:
    found = made(way, flower)["Service/demo-superlink-fleet"]
    assert isinstance(found, dict)
    return found


def pod(workload: Object) -> Pod:
    """Return a workload's Pod, with the ports that have names."""
    template = workload["spec"]["template"]
    ports = {one["name"]: one["containerPort"] for item in template["spec"]["containers"] for one in item["ports"]}
    return Pod(template["metadata"]["labels"], NAMESPACE, ports=ports)


def test_a_pool_elsewhere_has_no_object_and_its_place_is_counted() -> None:
    found = made("balanced")
    assert [name for name in found if "hospital" in name] == []
    args = found["StatefulSet/demo-lab"]["spec"]["template"]["spec"]["containers"][0]["args"]
    assert args[args.index("--first-partition") + 1] == "2"
    assert "partition-id={partition-id} num-partitions=3" in args


def test_a_federation_of_others_alone() -> None:
    text = HEAD.replace("    - {name: lab}\n", "").replace("    expose", "    expose", 1) + WAYS["balanced"]
    found = {named(item) for item in rendered(text, flower="1.22")}
    assert not [name for name in found if "lab" in name or "hospital" in name]
    assert "Service/demo-superlink-fleet" in found


@pytest.mark.parametrize("flower", EVERY_FAMILY)
@pytest.mark.parametrize("way", WAYS)
def test_the_only_port_that_is_shown_is_called_fleet(way: str, flower: str) -> None:
    """By name, so that it is the same as the container's whatever number that has."""
    [port] = service(way, flower)["spec"]["ports"]
    assert (port["name"], port["targetPort"]) == ("fleet", "fleet")
    found = made(way, flower)
    containers = found["StatefulSet/demo-superlink"]["spec"]["template"]["spec"]["containers"]
    [(name, number)] = [
        (item["name"], one["containerPort"]) for item in containers for one in item["ports"] if one["name"] == "fleet"
    ]
    assert (name, number) == ("proxy", dialled(federation(HEAD), find(flower))["fleet"])
    assert "type" not in found["Service/demo-superlink"]["spec"]


def test_a_service_is_what_the_file_says() -> None:
    one = service("balanced")
    assert one["metadata"]["annotations"] == {"example.org/internal": "yes"}
    assert one["spec"] == {
        "type": "LoadBalancer",
        "loadBalancerClass": "example.org/lb",
        "selector": made("")["Service/demo-superlink"]["spec"]["selector"],
        "ports": [{"name": "fleet", "port": 443, "targetPort": "fleet"}],
    }
    spec = service("balanced from")["spec"]
    assert spec["externalTrafficPolicy"] == "Local"
    assert spec["loadBalancerSourceRanges"] == ["192.0.2.0/24", "198.51.100.7/32"]
    assert service("by node")["spec"]["ports"] == [
        {"name": "fleet", "port": FLEET, "nodePort": 30443, "targetPort": "fleet"}
    ]


def test_without_a_way_nothing_is_shown() -> None:
    found = made("")
    assert not [name for name in found if "fleet" in name]
    superlink = pod(found["StatefulSet/demo-superlink"])
    ports = (*range(8000, 8010), *range(9090, 9100), 443)
    assert not [port for port in ports if allowed(found.values(), Outside("192.0.2.7"), superlink, port)]


@pytest.mark.parametrize(
    ("flower", "path", "protocol"),
    [("1.22", "/flwr.proto.Fleet/", "GRPCS"), ("1.37", "/flwr.proto.Fleet/", "GRPCS"), ("1.42", "/v1/fleet/", "HTTPS")],
)
def test_an_ingress_that_ends_tls_passes_on_the_fleet_api_alone(flower: str, path: str, protocol: str) -> None:
    item = made("reencrypt", flower)["Ingress/demo-superlink-fleet"]
    backend = {"service": {"name": "demo-superlink-fleet", "port": {"name": "fleet"}}}
    assert item["spec"] == {
        "tls": [{"hosts": ["fl.example.org"], "secretName": "fl-tls"}],
        "rules": [
            {
                "host": "fl.example.org",
                "http": {"paths": [{"path": path, "pathType": "Prefix", "backend": backend}]},
            }
        ],
    }
    said = {key.rpartition("/")[2]: value for key, value in item["metadata"]["annotations"].items()}
    assert (said["backend-protocol"], said["proxy-ssl-verify"], said["a"]) == (protocol, "on", "b")
    assert said["proxy-ssl-verify-depth"] == "10"  # else it knows no certificate with two authorities below the root
    assert said["proxy-ssl-secret"] == "research/demo-superlink-tls"
    assert said["proxy-ssl-name"] == "demo-superlink"  # one of the certificate's names


def test_an_ingress_that_passes_tls_through() -> None:
    item = made("passthrough")["Ingress/demo-superlink-fleet"]
    assert item["metadata"]["annotations"] == {"nginx.ingress.kubernetes.io/ssl-passthrough": "true"}
    assert item["spec"]["ingressClassName"] == "nginx"
    assert item["spec"]["tls"] == [{"hosts": ["fl.example.org"]}]
    assert service("passthrough")["spec"]["ports"] == [{"name": "fleet", "port": FLEET, "targetPort": "fleet"}]


def test_a_route_from_a_gateway() -> None:
    item = made("gateway")["TLSRoute/demo-superlink-fleet"]
    assert item["apiVersion"] == "gateway.networking.k8s.io/v1"
    assert item["spec"] == {
        "parentRefs": [{"name": "edge", "namespace": "gateways", "sectionName": "tls"}],
        "hostnames": ["fl.example.org"],
        "rules": [{"backendRefs": [{"name": "demo-superlink-fleet", "port": FLEET}]}],
    }


STRANGER = Pod({"app": "web"}, "default")
GATEWAY = Pod({"app": "envoy"}, "gateways")
ENDS: dict[str, Any] = {
    "site": Outside("192.0.2.7"),
    "other site": Outside("198.51.100.7"),
    "elsewhere": Outside("203.0.113.1"),
    "stranger": STRANGER,
    "gateway": GATEWAY,
}


@pytest.mark.parametrize("flower", [str(row.minor) for row in RELEASES])
@pytest.mark.parametrize(
    ("way", "expected"),
    [
        ("balanced", set(ENDS)),
        ("balanced from", {"site", "other site"}),
        ("passthrough", set(ENDS)),
        ("gateway", {"gateway"}),
    ],
)
def test_who_comes_in_from_outside_reaches_the_fleet_port_and_no_other(
    way: str, flower: str, expected: set[str]
) -> None:
    found = made(way, flower)
    pods = {
        name: pod(found[kind])
        for name, kind in (
            ("superlink", "StatefulSet/demo-superlink"),
            ("serverapp", "Deployment/demo-superexec-serverapp"),
            ("lab", "StatefulSet/demo-lab"),
        )
    }
    ports = (443, 8000, 9091, 9092, 9093, 9094, 9990, 9991, 18000, 19091, 19092, 19093)
    reached = {
        (end, target, port)
        for end, source in ENDS.items()
        for target, pod in pods.items()
        for port in ports
        if allowed(found.values(), source, pod, port)
    }
    shown = pods["superlink"].ports["fleet"]
    assert reached == {(end, "superlink", shown) for end in expected}
    assert allowed(found.values(), pods["lab"], pods["superlink"], shown)  # who is inside reaches it as before


OPEN = "  security: {controlApi: Open}\n"


@pytest.mark.parametrize(("flower", "alone"), [("1.22", True), ("1.39", True), ("1.40", False), ("1.42", False)])
def test_without_the_proxy_only_a_fleet_api_that_is_alone_is_shown(flower: str, *, alone: bool) -> None:
    text = HEAD + WAYS["balanced"] + OPEN
    found = rendered(text, flower=flower)
    assert [item.path for item in expose.problems(federation(text), found)] == (
        [] if alone else [("spec", "superlink", "expose")]
    )
    superlink = pod(next(item for item in found if named(item) == "StatefulSet/demo-superlink"))
    reached = {port for port in (8000, 9091, 9092, 9093) if allowed(found, STRANGER, superlink, port)}
    assert reached == ({9092} if alone else set())


@pytest.mark.parametrize("way", [*WAYS, ""])
def test_where_the_fleet_api_is_not_alone_nothing_is_shown(way: str) -> None:
    spec = federation(HEAD + WAYS.get(way, ""))
    objects = list(made(way, "1.39").values())
    assert expose.problems(spec, objects) == []
    for item in objects:
        for container in item.get("spec", {}).get("template", {}).get("spec", {}).get("containers", []):
            container["ports"] = [port for port in container["ports"] if port["name"] != "fleet"]
    found = expose.problems(spec, objects)
    assert [finding.path for finding in found] == ([("spec", "superlink", "expose")] if way else [])


def test_keys_of_those_elsewhere_are_kept_and_told_and_in_no_pod() -> None:
    row = find("1.42")
    spec = federation(HEAD + WAYS["balanced"])
    identity = Identity.of(spec, row, None)
    now = datetime(2030, 1, 1, tzinfo=UTC)
    trusts = trusting.wanted(spec, identity, lambda _: None, now=now, random=secrets.token_bytes)
    objects = {named(item): item for item in trusting.objects(trusts, row, identity)}

    secret = objects["Secret/demo-hospital-keys"]["data"]
    assert set(secret) == {"demo-hospital-0", "demo-hospital-1"}
    assert len(node_keys.parse(base64.b64decode(secret["demo-hospital-0"]).decode())) == 3
    listed = objects["ConfigMap/demo-nodes"]
    assert set(admitted_nodes(listed)) == {"hospital-0", "hospital-1", "lab-0"}
    assert external_nodes(listed) == {node: trusts.public_keys(node) for node in ("hospital-0", "hospital-1")}
    assert "demo-hospital-keys" not in json.dumps(list(made("balanced").values()))
    assert "fl.example.org" in superlink_names(spec, NAMESPACE)

    without = {named(item): item for item in trusting.objects(trusting.without(trusts, "hospital-0"), row, identity)}
    assert set(external_nodes(without["ConfigMap/demo-nodes"])) == {"hospital-1"}


def test_nobody_is_elsewhere_where_the_list_is_not_there_or_an_older_one() -> None:
    assert external_nodes(None) == {}
    assert external_nodes({"data": {"nodes.json": '{"a-0": ["x"]}'}}) == {}


@pytest.mark.parametrize("flower", ["1.22", "1.42"])
@pytest.mark.parametrize("text", VARIANTS)
def test_what_is_shown_on_purpose_is_not_blamed(text: str, flower: str) -> None:
    results = audit(CHECKS, Audited.of(federation(text), find(flower)))
    assert not [result for result in results if "reaches the SuperLink" in result.finding.message]


@pytest.mark.parametrize("text", VARIANTS)
def test_every_packaging_takes_what_is_shown(text: str) -> None:
    spec, objects = federation(text), rendered(text)
    for packed in (kustomize.files(spec, objects), helm.files(spec, objects, "1.42.0")):
        (superlink,) = [content for name, content in packed.items() if name.endswith("superlink.yaml")]
        assert "name: demo-superlink-fleet" in superlink


class Answers:
    """Stands for the API server and for the SuperLink: one ConfigMap, and the SuperNodes that are online."""

    def __init__(self, listed: Object, online: list[str]) -> None:
        self._listed = listed
        self._online = online

    def get(self, kind: str, name: str, namespace: str) -> Object | None:
        return self._listed if (kind, name, namespace) == ("ConfigMap", "demo-nodes", NAMESPACE) else None

    def ask(self, op: str, *, timeout: float) -> list[Object]:
        return [{"id": str(at), "key": key, "online": True} for at, key in enumerate(self._online)]


def a_pod(name: str, role: str) -> Object:
    status = {"containerStatuses": [{"state": {"running": {}}}], "conditions": [{"type": "Ready", "status": "True"}]}
    owners = [{"kind": "StatefulSet", "name": name.removesuffix("-0"), "controller": True}]
    meta = {"name": name, "labels": {"app.kubernetes.io/component": role}, "ownerReferences": owners}
    return {"metadata": meta, "status": status}


@pytest.mark.parametrize(
    ("online", "ours", "elsewhere"),
    [
        (["lab"], 1, {"far-0": False, "far-1": False}),
        (["lab", "far 1 b"], 1, {"far-0": False, "far-1": True}),
        (["far 0 a", "far 1 b"], 0, {"far-0": True, "far-1": True}),  # they do not stand in for ours
        (["lab", "far 0 a", "far 0 b"], 1, {"far-0": True, "far-1": False}),  # one of them was killed a moment ago
        (["gone"], 0, {"far-0": False, "far-1": False}),  # nor do those whose keys were taken back
    ],
)
def test_those_elsewhere_are_seen_and_never_counted_as_ours(
    online: list[str], ours: int, elsewhere: dict[str, bool]
) -> None:
    kept = {"far-0": ["far 0 a", "far 0 b"], "far-1": ["far 1 a", "far 1 b"], "lab-0": ["lab"]}
    gone = json.dumps({"far-2": ["gone"]})
    listed = {"data": {"nodes.json": json.dumps(kept), "external.json": '["far-0", "far-1"]', "revoked.json": gone}}
    answers: Any = Answers(listed, online)
    observer = Observer(answers, "demo", NAMESPACE)
    observer._link = answers
    pool = {"metadata": {"name": "demo-lab", "labels": {"app.kubernetes.io/component": "supernode"}}}
    pods = [a_pod("demo-superlink-0", "superlink"), a_pod("demo-lab-0", "supernode")]
    found = read("demo", NAMESPACE, [{**pool, "spec": {"replicas": 1}}], pods)
    seen, stale = observer.readiness(found, patience=1.0)
    assert (seen.nodes_online, seen.nodes_expected, seen.ready, stale) == (ours, 1, ours == 1, 0)
    assert observer.external(found, patience=1.0) == elsewhere
