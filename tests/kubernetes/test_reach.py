"""Kubernetes' rules for NetworkPolicies, each shown by a policy of its own."""

from __future__ import annotations

from typing import Any

import pytest

from flowerbed.kubernetes.reach import Outside, Pod, allowed, isolating, selects

HERE, THERE = "here", "there"
SERVER = Pod({"app": "server"}, HERE, ports={"web": 8000}, address="10.0.0.7")
CLIENT = Pod({"app": "client", "tier": "front"}, HERE)
FOREIGN = Pod({"app": "client"}, THERE, namespace_labels={"team": "blue"})


def policy(selector: Any = None, *, namespace: str = HERE, **spec: Any) -> dict[str, Any]:
    meta = {"name": "a", "namespace": namespace}
    return {"kind": "NetworkPolicy", "metadata": meta, "spec": {"podSelector": selector or {}, **spec}}


def lets_in(*rules: Any, source: Pod | Outside = CLIENT, port: int = 8000, protocol: str = "TCP") -> bool:
    one = policy({"matchLabels": {"app": "server"}}, policyTypes=["Ingress"], ingress=list(rules))
    return allowed([one], source, SERVER, port, protocol)


def test_without_a_policy_everything_is_allowed() -> None:
    assert allowed([], CLIENT, SERVER, 8000)
    assert allowed([{"kind": "Service", "metadata": {"name": "a"}}], Outside("192.0.2.1"), SERVER, 1)


def test_a_policy_isolates_only_whom_it_selects_where_it_is_and_as_it_says() -> None:
    one = policy({"matchLabels": {"app": "server"}}, policyTypes=["Ingress"])
    assert not allowed([one], CLIENT, SERVER, 8000)
    assert allowed([one], SERVER, CLIENT, 8000)
    assert allowed([policy({"matchLabels": {"app": "server"}}, namespace=THERE)], CLIENT, SERVER, 8000)
    assert allowed([policy(policyTypes=["Egress"])], FOREIGN, SERVER, 8000)
    assert not allowed([policy(policyTypes=["Egress"])], CLIENT, Outside("192.0.2.1"), 443)


def test_policy_types_that_are_left_out() -> None:
    """Ingress always, Egress where there is a rule (NetworkPolicySpec)."""
    assert isolating([policy()], CLIENT, "ingress")
    assert not isolating([policy()], CLIENT, "egress")
    assert isolating([policy(egress=[{}])], CLIENT, "egress")


def test_both_ends_have_to_agree() -> None:
    out = policy({"matchLabels": {"app": "client"}}, policyTypes=["Egress"], egress=[{"to": [{"podSelector": {}}]}])
    closed = policy({"matchLabels": {"app": "server"}}, policyTypes=["Ingress"])
    opened = policy({"matchLabels": {"app": "server"}}, policyTypes=["Ingress"], ingress=[{}])
    assert allowed([out], CLIENT, SERVER, 8000)
    assert not allowed([out, closed], CLIENT, SERVER, 8000)
    assert allowed([out, closed, opened], CLIENT, SERVER, 8000)  # what one of them allows is allowed


@pytest.mark.parametrize(
    ("peer", "source", "expected"),
    [
        ({"podSelector": {}}, CLIENT, True),
        ({"podSelector": {}}, FOREIGN, False),  # without a namespaceSelector: the policy's own namespace
        ({"namespaceSelector": {}}, FOREIGN, True),
        ({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": THERE}}}, FOREIGN, True),
        ({"namespaceSelector": {"matchLabels": {"team": "blue"}}}, FOREIGN, True),
        ({"namespaceSelector": {"matchLabels": {"team": "red"}}}, FOREIGN, False),
        ({"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "other"}}}, FOREIGN, False),  # AND
        ({"podSelector": {}}, Outside("192.0.2.1"), False),
        ({"ipBlock": {"cidr": "192.0.2.0/24"}}, Outside("192.0.2.1"), True),
        ({"ipBlock": {"cidr": "192.0.2.0/24", "except": ["192.0.2.0/28"]}}, Outside("192.0.2.1"), False),
        ({"ipBlock": {"cidr": "2001:db8::/32"}}, Outside("192.0.2.1"), False),
        ({"ipBlock": {"cidr": "0.0.0.0/0"}}, CLIENT, False),  # its address is not given
        ({"ipBlock": {"cidr": "0.0.0.0/0"}}, Pod({}, THERE, address="10.0.0.9"), True),
    ],
)
def test_peers(peer: Any, source: Pod | Outside, *, expected: bool) -> None:
    assert lets_in({"from": [peer]}, source=source) is expected


def test_items_of_a_list_are_joined_by_or_and_what_is_left_out_is_everything() -> None:
    nobody = {"podSelector": {"matchLabels": {"app": "nobody"}}}
    assert lets_in({"from": [nobody, {"namespaceSelector": {}}]}, source=FOREIGN)
    assert lets_in({"from": [nobody]}, {"ports": [{"port": 8000}]}, source=FOREIGN)
    assert lets_in({}, source=Outside("192.0.2.1"), port=1)


@pytest.mark.parametrize(
    ("given", "port", "protocol", "expected"),
    [
        ({"port": 8000}, 8000, "TCP", True),
        ({"port": 8000}, 8001, "TCP", False),
        ({"port": 8000}, 8000, "UDP", False),
        ({"port": 8000, "protocol": "UDP"}, 8000, "UDP", True),
        ({"protocol": "TCP"}, 1, "TCP", True),
        ({"port": 8000, "endPort": 8010}, 8010, "TCP", True),
        ({"port": 8000, "endPort": 8010}, 8011, "TCP", False),
        ({"port": "web"}, 8000, "TCP", True),
        ({"port": "web"}, 8001, "TCP", False),
        ({"port": "admin"}, 8000, "TCP", False),
    ],
)
def test_ports(given: Any, port: int, protocol: str, *, expected: bool) -> None:
    assert lets_in({"ports": [given]}, port=port, protocol=protocol) is expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ({"key": "app", "operator": "In", "values": ["server", "x"]}, True),
        ({"key": "app", "operator": "NotIn", "values": ["server"]}, False),
        ({"key": "tier", "operator": "NotIn", "values": ["front"]}, True),  # it has no such label
        ({"key": "app", "operator": "Exists"}, True),
        ({"key": "tier", "operator": "Exists"}, False),
        ({"key": "tier", "operator": "DoesNotExist"}, True),
    ],
)
def test_expressions(expression: Any, *, expected: bool) -> None:
    assert selects({"matchExpressions": [expression]}, SERVER.labels) is expected


def test_an_operator_that_there_is_not() -> None:
    with pytest.raises(ValueError, match="Like"):
        selects({"matchExpressions": [{"key": "a", "operator": "Like"}]}, {})
