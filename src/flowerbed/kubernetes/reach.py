"""Whether NetworkPolicies let a connection through, by Kubernetes' rules and without a cluster. Pure.

A policy isolates the Pods that it selects, in the directions that it names; what isolates no Pod hinders nothing. An
isolated Pod is reached, or reaches, only what a rule of any of its policies allows, and a connection needs the consent
of both ends (kubernetes.io/docs/concepts/services-networking/network-policies). Answers come along with a connection.

What no policy says: the node on which a Pod runs always reaches it, for example to probe it; a Pod always reaches
itself; how Pods with the node's own network are treated is up to whoever enforces the policies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

Object = Mapping[str, Any]

NAMESPACE = "kubernetes.io/metadata.name"


@dataclass(frozen=True)
class Pod:
    """One end of a connection.

    Parameters
    ----------
    labels : mapping of str to str
        The Pod's labels.
    namespace : str
        Where it is.
    namespace_labels : mapping of str to str
        The namespace's labels, beside the one with its name that each has.
    ports : mapping of str to int
        Its ports that have a name.
    address : str
        Its address, if blocks of addresses shall be compared with it. Kubernetes leaves it open whether they are.
    """

    labels: Mapping[str, str]
    namespace: str
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)
    address: str = ""


@dataclass(frozen=True)
class Outside:
    """An end outside of the cluster, or whatever else has an address and no labels.

    Parameters
    ----------
    address : str
        Its address.
    """

    address: str


End = Pod | Outside


def allowed(policies: Iterable[Object], source: End, target: End, port: int, protocol: str = "TCP") -> bool:
    """Tell whether a connection is let through.

    Parameters
    ----------
    policies : iterable of dict
        Objects; those of other kinds are passed over. One without a namespace is taken to be in that of either Pod.
    source, target : Pod or Outside
        Who dials whom.
    port : int
        At which of the target's ports.
    protocol : str
        TCP, UDP or SCTP.
    """
    known = [item for item in policies if item.get("kind") == "NetworkPolicy"]
    asked = _Asked(target, port, protocol)
    return _consents(known, "egress", source, target, asked) and _consents(known, "ingress", target, source, asked)


def isolating(policies: Iterable[Object], pod: Pod, direction: str) -> list[Object]:
    """Return the policies that isolate a Pod in a direction: ``ingress`` or ``egress``."""
    return [
        item
        for item in policies
        if item.get("kind") == "NetworkPolicy"
        and item["metadata"].get("namespace", pod.namespace) == pod.namespace
        and direction in _directions(item["spec"])
        and selects(item["spec"].get("podSelector") or {}, pod.labels)
    ]


def selects(selector: Object, labels: Mapping[str, str]) -> bool:
    """Tell whether a label selector selects what has these labels; an empty one selects everything."""
    matched = all(labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items())
    return matched and all(_holds(one, labels) for one in selector.get("matchExpressions") or [])


@dataclass(frozen=True)
class _Asked:
    target: End
    port: int
    protocol: str

    def within(self, given: Object) -> bool:
        """Tell whether it is among the ports that a rule gives."""
        if given.get("protocol", "TCP") != self.protocol:
            return False
        match given.get("port"):
            case None:
                return True
            case str(name):
                return isinstance(self.target, Pod) and self.target.ports.get(name) == self.port
            case first:
                return bool(first <= self.port <= given.get("endPort", first))


def _consents(policies: list[Object], direction: str, subject: End, other: End, asked: _Asked) -> bool:
    if isinstance(subject, Outside):
        return True
    mine = isolating(policies, subject, direction)
    rules = (rule for item in mine for rule in item["spec"].get(direction) or [])
    return not mine or any(_rule_allows(rule, direction, subject.namespace, other, asked) for rule in rules)


def _rule_allows(rule: Object, direction: str, namespace: str, other: End, asked: _Asked) -> bool:
    peers, ports = rule.get("from" if direction == "ingress" else "to"), rule.get("ports")
    somebody = not peers or any(_is(peer, namespace, other) for peer in peers)
    return somebody and (not ports or any(asked.within(one) for one in ports))


def _is(peer: Object, namespace: str, other: End) -> bool:
    """Tell whether a rule's peer is this end; selectors of namespace and Pod both have to select it."""
    block = peer.get("ipBlock")
    if block is not None:
        return bool(other.address) and _in_block(block, other.address)
    if isinstance(other, Outside):
        return False
    namespaces = peer.get("namespaceSelector")
    if namespaces is None:
        if other.namespace != namespace:
            return False
    elif not selects(namespaces, {**other.namespace_labels, NAMESPACE: other.namespace}):
        return False
    return selects(peer.get("podSelector") or {}, other.labels)


def _in_block(block: Object, address: str) -> bool:
    found = ip_address(address)
    excluded = any(found in ip_network(one) for one in block.get("except") or [])
    return found in ip_network(block["cidr"]) and not excluded


def _directions(spec: Object) -> set[str]:
    """Return the directions that a policy isolates; without policyTypes the API server's own default."""
    types = spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]
    return {str(one).lower() for one in types}


def _holds(expression: Object, labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or []
    match expression["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values  # also what has no such label
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case unknown:
            raise ValueError(unknown)
