"""Who reaches whom: the rendered NetworkPolicies, read by Kubernetes' rules, against tables that are written out."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest

from flowerbed.flower.releases import RELEASES, find
from flowerbed.kubernetes.manifests.run_job import run_job
from flowerbed.kubernetes.reach import Outside, Pod, allowed
from kubernetes.federations import SMALL, Object, container, federation, named, rendered, workloads

OPEN = """\
apiVersion: flowerbed.dev/v1alpha1
kind: Federation
metadata: {name: demo, namespace: research}
spec:
  app: {image: "ghcr.io/example/app:1.0"}
  supernodes:
    - name: site
      replicas: 2
      egress:
        - {cidr: 0.0.0.0/0, except: [10.0.0.0/8, 169.254.0.0/16], ports: [{port: 443}]}
        - {cidr: 2001:db8::/32, ports: [{port: 8000, endPort: 8010}]}
    - name: runs
  serverapp:
    egress:
      - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: tracking}}
        podSelector: {matchLabels: {app: mlflow}}
        ports: [{port: 5000}]
  access:
    - preset: Thunderline
      podSelector: {matchLabels: {app.kubernetes.io/instance: prod}}
    - namespaceSelector: {matchLabels: {team: imaging}}
      podSelector: {matchExpressions: [{key: app, operator: In, values: [notebook]}]}
      apis: [Control, Fleet]
    - podSelector: {matchLabels: {app: gateway}}
      apis: [Fleet]
"""

TEXTS = [OPEN.replace("  app: {image", "  layout: LAYOUT\n  app: {image")]
"""For whoever renders every variant."""

NAMESPACE = "research"
HEALTH, CLIENTAPP_IO = 9990, 9094


def labels_of(made: list[Object], name: str) -> dict[str, str]:
    (item,) = [item for item in workloads(made) if item["metadata"]["name"] == name]
    found = item["spec"]["template"]["metadata"]["labels"]
    assert isinstance(found, dict)
    return found


def pods(made: list[Object], release: str) -> dict[str, Pod]:
    """Return Pods of all kinds, those of the federation with the labels that are rendered."""
    spec = federation(OPEN).spec
    job = run_job("demo", NAMESPACE, 7, find(release), spec, config={}, baked=False)
    thunderline = {"app.kubernetes.io/name": "thunderhelm", "app.kubernetes.io/instance": "prod"}
    component = "app.kubernetes.io/component"
    return {
        "superlink": Pod(labels_of(made, "demo-superlink"), NAMESPACE),
        "serverapp": Pod(labels_of(made, "demo-superexec-serverapp"), NAMESPACE),
        "site": Pod(labels_of(made, "demo-site"), NAMESPACE),
        "runs": Pod(labels_of(made, "demo-runs"), NAMESPACE),
        "job": Pod(job["spec"]["template"]["metadata"]["labels"], NAMESPACE),
        "debug": Pod({"app.kubernetes.io/name": "flower", "app.kubernetes.io/instance": "demo"}, NAMESPACE),
        "other federation": Pod({**labels_of(made, "demo-site"), "app.kubernetes.io/instance": "other"}, NAMESPACE),
        "neighbour": Pod({"app": "web"}, NAMESPACE),
        "foreign": Pod({"app": "web"}, "default"),
        "copycat": Pod(labels_of(made, "demo-site"), "default"),
        "web": Pod({**thunderline, component: "web"}, "thunderline"),
        "worker": Pod({**thunderline, component: "worker"}, "thunder"),
        "livebook": Pod({**thunderline, component: "livebook"}, "thunderline"),
        "web of another release": Pod(
            {**thunderline, component: "web", "app.kubernetes.io/instance": "dev"}, "thunderline"
        ),
        "web elsewhere": Pod({**thunderline, component: "web"}, "default"),
        "notebook": Pod({"app": "notebook"}, "lab", {"team": "imaging"}),
        "notebook elsewhere": Pod({"app": "notebook"}, "lab", {"team": "finance"}),
        "other of the lab": Pod({"app": "web"}, "lab", {"team": "imaging"}),
        "gateway": Pod({"app": "gateway"}, NAMESPACE),
        "gateway elsewhere": Pod({"app": "gateway"}, "default"),
        "dns": Pod({"k8s-app": "kube-dns"}, "kube-system"),
        "dns elsewhere": Pod({"k8s-app": "kube-dns"}, "default"),
        "mlflow": Pod({"app": "mlflow"}, "tracking"),
    }


# To the SuperLink: who → which of its ports, by the releases' families.
TO_SUPERLINK: dict[str, dict[str, set[int]]] = {
    "1.22": {
        "serverapp": {9091},
        "site": {9092},
        "runs": {9092},
        "job": {9093},
        "web": {9093},
        "worker": {9093},
        "notebook": {9092, 9093},
        "gateway": {9092},
    },
    "1.37": {
        "serverapp": {8000},
        "site": {9092},
        "runs": {9092},
        "job": {9093},
        "web": {9093},
        "worker": {9093},
        "notebook": {9092, 9093},
        "gateway": {9092},
    },
    "1.42": {
        "serverapp": {9091},
        "site": {8000},
        "runs": {8000},
        "job": {9093},
        "web": {9093},
        "worker": {9093},
        "notebook": {8000, 9093},
        "gateway": {8000},
    },
}

TO_AN_OPEN_SUPERLINK = {
    "1.22": TO_SUPERLINK["1.22"],
    "1.37": {**TO_SUPERLINK["1.37"], **{name: {8000} for name in ("job", "web", "worker")}, "notebook": {8000, 9092}},
    "1.42": {name: {8000} for name in TO_SUPERLINK["1.42"]},
}
"""The same without a proxy: on newer releases whoever reaches one API reaches all."""

FEDERATION = ("superlink", "serverapp", "site", "runs", "job", "debug")
PORTS = (53, 443, 5000, 8000, 9091, 9092, 9093, 9991, 18000, 19093, CLIENTAPP_IO, HEALTH)


@pytest.mark.parametrize("release", list(TO_SUPERLINK))
@pytest.mark.parametrize("control", ["Closed", "Open"])
def test_every_cell_of_the_matrix_within_the_cluster(release: str, control: str) -> None:
    text = OPEN.replace("  access:", f"  security: {{controlApi: {control}}}\n  access:")
    made = rendered(text, flower=release)
    all_pods = pods(made, release)
    table = TO_SUPERLINK if control == "Closed" else TO_AN_OPEN_SUPERLINK
    expected = {(name, "superlink", port) for name, ports in table[release].items() for port in ports}
    expected |= {(name, "dns", 53) for name in ("serverapp", "site", "runs", "job")}
    expected |= {("serverapp", "mlflow", 5000)}
    found = {
        (source, target, port)
        for source, target in itertools.permutations(all_pods, 2)
        for port in PORTS
        if source in FEDERATION or target in FEDERATION
        if allowed(made, all_pods[source], all_pods[target], port)
    }
    assert found == expected


def test_names_are_resolved_by_udp_and_nothing_else_is_udp() -> None:
    made = rendered(OPEN)
    all_pods = pods(made, "1.42")
    found = {
        (source, target, port)
        for source in FEDERATION
        for target in all_pods
        for port in PORTS
        if source != target and allowed(made, all_pods[source], all_pods[target], port, "UDP")
    }
    assert found == {(name, "dns", 53) for name in ("serverapp", "site", "runs", "job")}


@pytest.mark.parametrize(
    ("address", "port", "protocol", "expected"),
    [
        ("192.0.2.7", 443, "TCP", {"site"}),
        ("192.0.2.7", 80, "TCP", set()),
        ("192.0.2.7", 443, "UDP", set()),
        ("10.1.2.3", 443, "TCP", set()),
        ("169.254.169.254", 443, "TCP", set()),  # where clouds hand out credentials
        ("169.254.169.254", 80, "TCP", set()),
        ("2001:db8::1", 8005, "TCP", {"site"}),
        ("2001:db8::1", 8011, "TCP", set()),
        ("2001:db9::1", 8005, "TCP", set()),
    ],
)
def test_every_cell_of_the_matrix_to_the_outside(address: str, port: int, protocol: str, expected: set[str]) -> None:
    made = rendered(OPEN)
    all_pods = pods(made, "1.42")
    outside = Outside(address)
    assert {name for name in FEDERATION if allowed(made, all_pods[name], outside, port, protocol)} == expected


def test_nobody_comes_from_outside() -> None:
    made = rendered(OPEN)
    all_pods = pods(made, "1.42")
    assert not [
        (name, port)
        for name in FEDERATION
        for port in PORTS
        if allowed(made, Outside("192.0.2.7"), all_pods[name], port)
    ]


def test_two_federations_in_a_namespace_keep_to_themselves() -> None:
    both = [*rendered(OPEN), *rendered(OPEN.replace("name: demo", "name: other"))]
    mine, theirs = (
        {
            role: Pod(labels_of(both, f"{name}-{role}"), NAMESPACE)
            for role in ("superlink", "superexec-serverapp", "site")
        }
        for name in ("demo", "other")
    )
    for one, other in ((mine, theirs), (theirs, mine)):
        assert allowed(both, one["site"], one["superlink"], 8000)
        assert not any(allowed(both, one[a], other[b], 8000) for a, b in itertools.product(mine, repeat=2))


@pytest.mark.parametrize("release", [str(row.minor) for row in RELEASES])
def test_whatever_is_dialled_is_let_through(release: str) -> None:
    """The addresses are read from the command lines: a program that dials more than its policy knows is found."""
    made = rendered(OPEN, flower=release)
    superlink = Pod(labels_of(made, "demo-superlink"), NAMESPACE)
    offered = {port["port"] for item in made if item["kind"] == "Service" for port in item["spec"]["ports"]}
    job = run_job("demo", NAMESPACE, 7, find(release), federation(OPEN).spec, config={}, baked=False)
    dialled: set[int] = set()
    for item in [*workloads(made), job]:
        source = Pod(item["spec"]["template"]["metadata"]["labels"], NAMESPACE)
        words = " ".join(container(item)["args"])
        ports = {int(port) for port in re.findall(r"demo-superlink:(\d+)", words)}
        assert bool(ports) is (item["metadata"]["name"] != "demo-superlink")
        assert all(allowed(made, source, superlink, port) for port in ports)
        dialled |= ports
    assert dialled == offered  # a Service offers nothing that nobody dials


def policies(text: str) -> dict[str, Any]:
    return {item["metadata"]["name"]: item["spec"] for item in rendered(text) if item["kind"] == "NetworkPolicy"}


def test_peers_are_written_with_both_selectors_in_one_item() -> None:
    ingress = policies(OPEN)["demo-superlink"]["ingress"]
    assert ingress[3:] == [
        {
            "from": [
                {
                    "namespaceSelector": {
                        "matchExpressions": [
                            {
                                "key": "kubernetes.io/metadata.name",
                                "operator": "In",
                                "values": ["thunder", "thunderline", "flower-system"],
                            }
                        ]
                    },
                    "podSelector": {
                        "matchLabels": {
                            "app.kubernetes.io/name": "thunderhelm",
                            "app.kubernetes.io/instance": "prod",
                        },
                        "matchExpressions": [
                            {"key": "app.kubernetes.io/component", "operator": "In", "values": ["web", "worker"]}
                        ],
                    },
                }
            ],
            "ports": [{"protocol": "TCP", "port": 9093}],
        },
        {
            "from": [
                {
                    "namespaceSelector": {"matchLabels": {"team": "imaging"}},
                    "podSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["notebook"]}]},
                }
            ],
            "ports": [{"protocol": "TCP", "port": 9093}, {"protocol": "TCP", "port": 8000}],
        },
        {"from": [{"podSelector": {"matchLabels": {"app": "gateway"}}}], "ports": [{"protocol": "TCP", "port": 8000}]},
    ]


def test_egress_is_written_with_its_networks_and_ports() -> None:
    *_, first, second = policies(OPEN)["demo-site"]["egress"]
    assert first == {
        "to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8", "169.254.0.0/16"]}}],
        "ports": [{"protocol": "TCP", "port": 443}],
    }
    assert second == {
        "to": [{"ipBlock": {"cidr": "2001:db8::/32"}}],
        "ports": [{"protocol": "TCP", "port": 8000, "endPort": 8010}],
    }


def test_the_namespaces_of_a_preset_can_be_said() -> None:
    text = OPEN.replace(
        "- preset: Thunderline", "- preset: Thunderline\n      namespaceSelector: {matchLabels: {a: b}}"
    )
    peer = policies(text)["demo-superlink"]["ingress"][3]["from"][0]
    assert peer["namespaceSelector"] == {"matchLabels": {"a": "b"}}


def test_all_namespaces_is_not_the_own_one() -> None:
    """In Kubernetes an empty selector is everything, and one that is left out is not."""
    text = OPEN.replace("{matchLabels: {team: imaging}}", "{}")
    assert policies(text)["demo-superlink"]["ingress"][4]["from"][0]["namespaceSelector"] == {}


def test_dns_elsewhere() -> None:
    there = "{cidr: 169.254.20.10/32, ports: [{port: 53, protocol: UDP}]}"
    text = OPEN.replace("  access:", f"  security: {{dns: [{there}]}}\n  access:")
    made = rendered(text)
    all_pods = pods(made, "1.42")
    for name in ("serverapp", "site", "job"):
        assert allowed(made, all_pods[name], Outside("169.254.20.10"), 53, "UDP")
        assert not allowed(made, all_pods[name], all_pods["dns"], 53, "UDP")


@pytest.mark.parametrize(
    ("text", "there"),
    [
        (SMALL, True),
        (SMALL.replace("spec:", "spec:\n  security: {networkPolicies: Enabled}"), True),
        (SMALL.replace("spec:", "spec:\n  security: {networkPolicies: Disabled}"), False),
        (SMALL.replace("LAYOUT", "Quickstart"), False),
    ],
)
def test_they_are_there_unless_the_file_or_the_layout_says_otherwise(text: str, *, there: bool) -> None:
    expected = {"demo-superlink", "demo-superexec-serverapp", "demo-site", "demo.runs", "demo.default-deny"}
    assert set(policies(text)) == (expected if there else set())


def test_policies_come_before_what_they_protect_and_names_never_clash() -> None:
    made = rendered(OPEN)  # it has a pool that is called runs
    kinds = [item["kind"] for item in made]
    assert kinds.index("NetworkPolicy") < kinds.index("Service") < kinds.index("StatefulSet")
    assert len({named(item) for item in made}) == len(made)
