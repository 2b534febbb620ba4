"""Checks of who reaches what; the rendered NetworkPolicies are asked, not the file's words."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from flowerbed.flower import apis
from flowerbed.kubernetes.audit.model import Audited, Check, Severity
from flowerbed.kubernetes.manifests import names
from flowerbed.kubernetes.manifests.edges import dialled, door
from flowerbed.kubernetes.reach import Outside, Pod, allowed
from flowerbed.spec.finding import Finding, Path
from flowerbed.spec.model import Layout
from flowerbed.spec.network import Api, Egress, Switch
from flowerbed.spec.selectors import LabelSelector

METADATA = ("169.254.169.254", "fd00:ec2::254")
"""Where clouds hand out a node's credentials to whoever asks from it."""

EVERYTHING = ("0.0.0.0/0", "::/0")

_STRANGER = Pod({"example.org/stranger": "yes"}, "somewhere-else", {"example.org/stranger": "yes"})


def _none(audited: Audited) -> Iterator[Finding]:
    if audited.spec.layout is Layout.QUICKSTART:
        yield Finding(
            ("spec", "layout"),
            "no NetworkPolicies are made with layout: Quickstart: every Pod of the cluster reaches the SuperLink",
            "choose layout: Colocated",
        )
    elif audited.spec.security.network_policies is Switch.DISABLED:
        yield Finding(
            ("spec", "security", "networkPolicies"),
            "no NetworkPolicies are made: every Pod of the cluster reaches the SuperLink, and can submit code",
            "leave it out, and name in spec.access who needs the SuperLink",
        )


def _open(audited: Audited) -> Iterator[Finding]:
    """Ask whether a Pod that nobody has named gets in; where there are no policies another check has said so."""
    if not any(item["kind"] == "NetworkPolicy" for item in audited.objects):
        return
    superlink = _pod(audited, names.superlink(audited.federation.metadata.name))
    reached = [
        str(port)
        for port in dialled(audited.federation, audited.row).values()
        if allowed(audited.objects, _STRANGER, superlink, port)
    ]
    if reached:
        index = next(
            (at for at, access in enumerate(audited.spec.access) if _selects_all(access.namespace_selector)), 0
        )
        yield Finding(
            ("spec", "access", index),
            f"every Pod of the cluster reaches the SuperLink at port{'s' * (len(reached) > 1)} {', '.join(reached)}",
            "name namespaces and Pods by labels that not everyone can give",
        )


def _whole_namespaces(audited: Audited) -> Iterator[Finding]:
    for index, access in enumerate(audited.spec.access):
        if access.preset is None and (access.pod_selector is None or _selects_all(access.pod_selector)):
            yield Finding(
                ("spec", "access", index),
                "all Pods of the namespaces that it selects reach the SuperLink",
                "name those that need it, with a podSelector",
            )


def _one_port(audited: Audited) -> Iterator[Finding]:
    fleet, control = (door(audited.spec, audited.row, api) for api in (apis.Api.FLEET, apis.Api.CONTROL))
    if fleet != control:
        return
    for index, access in enumerate(audited.spec.access):
        if Api.CONTROL not in access.apis:
            yield Finding(
                ("spec", "access", index, "apis"),
                f"Flower {audited.row.minor} has one port for both APIs: who reaches Fleet reaches Control as well",
                "give this only to whom you would let submit code",
            )


def _credentials(audited: Audited) -> Iterator[Finding]:
    for where, name, egress in _egress(audited):
        pod = _pod(audited, name)
        for one in egress.ports:
            reached = [
                address
                for address in METADATA
                if allowed(audited.objects, pod, Outside(address), one.port, one.protocol.value)
                and _covers(egress, address)
            ]
            if reached:
                yield Finding(
                    where,
                    f"it lets programs reach {' and '.join(reached)}, where clouds hand out the node's credentials",
                    "leave those out: except: [169.254.0.0/16], and fd00:ec2::254/128 of IPv6",
                )
                break


def _anywhere(audited: Audited) -> Iterator[Finding]:
    for where, _, egress in _egress(audited):
        if egress.cidr in EVERYTHING:
            yield Finding(
                where,
                f"it lets programs reach {egress.cidr}: whatever they read can be sent anywhere",
                "name the networks of what they download",
            )


CHECKS = (
    Check(
        "network-policies-missing",
        Severity.ERROR,
        "NetworkPolicies keep strangers away from the federation.",
        _none,
    ),
    Check("access-open", Severity.ERROR, "No Pod that nobody has named reaches the SuperLink.", _open),
    Check(
        "access-whole-namespace",
        Severity.WARNING,
        "Access is given to Pods, not to whole namespaces.",
        _whole_namespaces,
    ),
    Check(
        "access-fleet-is-control",
        Severity.WARNING,
        "Whoever is let to Fleet does not reach Control as well.",
        _one_port,
    ),
    Check("egress-credentials", Severity.ERROR, "Apps do not reach a cloud's address for credentials.", _credentials),
    Check("egress-anywhere", Severity.NOTE, "Apps reach only the networks that they need.", _anywhere),
)


def _pod(audited: Audited, name: str) -> Pod:
    labels = next(
        item["spec"]["template"]["metadata"]["labels"]
        for item in audited.objects
        if item["metadata"]["name"] == name and "template" in item.get("spec", {})
    )
    return Pod(labels, audited.namespace)  # without ports' names: what superlink.expose opens is by name, and meant


def _egress(audited: Audited) -> Iterator[tuple[Path, str, Egress]]:
    given = [audited.spec.serverapp.egress, *(pool.egress for pool in audited.spec.own_pools)]
    for (path, name), items in zip(audited.programs, given, strict=True):
        for index, one in enumerate(items):
            yield (*path, "egress", index), name, one


def _covers(egress: Egress, address: str) -> bool:
    """Tell whether this item, and not only another one beside it, reaches an address."""
    if egress.cidr is None or ip_address(address) not in ip_network(egress.cidr):
        return False
    return all(ip_address(address) not in ip_network(one) for one in egress.excluded)


def _selects_all(selector: LabelSelector | None) -> bool:
    return selector is not None and not selector.match_labels and not selector.match_expressions
