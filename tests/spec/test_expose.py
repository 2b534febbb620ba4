"""Pools whose SuperNodes run elsewhere, and where those reach the SuperLink. A caret marks where a problem points to."""

# ruff: noqa: E501 (tables have one case on a line)

from __future__ import annotations

import re

import pytest

from flowerbed.errors import SpecError
from flowerbed.spec.limits import check_local
from flowerbed.spec.load import parse
from flowerbed.spec.model import Federation

HEAD = "apiVersion: flowerbed.dev/v1alpha1\nkind: Federation\nmetadata: {name: demo}\nspec:\n  "
OUTSIDE = "supernodes: [{name: a}, {name: b, replicas: 2, external: true}]\n  "
SHOWN = 'superlink: {expose: {fleetAddress: "fl.example.org:9092"}}\n  '


def read(spec: str) -> Federation:
    return parse(HEAD + spec + "\n", "f").federation


def test_who_runs_where_and_what_the_superlink_is_called() -> None:
    spec = read(OUTSIDE + SHOWN + "security: {tls: {externalNames: [other.example.org, fl.example.org]}}").spec
    assert (spec.own_nodes, spec.external_nodes, spec.supernode_count) == (("a-0",), ("b-0", "b-1"), 3)
    assert spec.superlink_names == ("fl.example.org", "other.example.org")
    assert (spec.tls_mode, spec.node_auth) == ("Auto", True)


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("fl.example.org:443", "fl.example.org", 443),
        ("192.0.2.7:9092", "192.0.2.7", 9092),
        ("[2001:db8::7]:9092", "2001:db8::7", 9092),
    ],
)
def test_an_address_is_a_host_and_a_port(address: str, host: str, port: int) -> None:
    expose = read(
        f'supernodes: [{{name: a}}]\n  superlink: {{expose: {{fleetAddress: "{address}"}}}}'
    ).spec.superlink.expose
    assert expose is not None
    assert (expose.host, expose.port) == (host, port)


def exposed(text: str) -> str:
    return OUTSIDE + 'superlink: {expose: {fleetAddress: "fl.example.org:9092", ' + text + "}}"


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("supernodes: [{name: a, external: ^true}]", "spec.supernodes[0].external: nothing says where its SuperNodes reach the SuperLink (for example superlink: {expose: {fleetAddress: fl.example.org:9092}})"),
        (SHOWN + "supernodes: [{name: a, external: true, resources: ^{limits: {cpu: 1}}}]", "spec.supernodes[0].resources: is of no use in an external pool, whose SuperNodes others start"),
        (SHOWN + "supernodes: [{name: a, external: true, nodeSelector: ^{a: b}}]", "spec.supernodes[0].nodeSelector: is of no use in an external pool, whose SuperNodes others start"),
        (SHOWN + "supernodes: [{name: a, external: true, gpus: ^{}}]", "spec.supernodes[0].gpus: is of no use in an external pool, whose SuperNodes others start"),
        (SHOWN + "security: {tls: {mode: Disabled}}\n  supernodes: [{name: a, external: ^true}]", "spec.supernodes[0].external: whoever comes from outside comes over TLS (write security: {tls: {mode: Auto}})"),
        (SHOWN + "security: {nodeAuth: false}\n  supernodes: [{name: a, external: ^true}]", "spec.supernodes[0].external: without nodeAuth anybody could join from outside (leave nodeAuth out)"),
        ("supernodes: [{name: a}]\n  layout: Quickstart\n  superlink: {expose: ^{fleetAddress: \"a.example.org:1\"}}", "spec.superlink.expose: is for layout: Colocated (leave it out, or choose that layout)"),
        (OUTSIDE + "superlink: {expose: {fleetAddress: ^fl.example.org}}", 'spec.superlink.expose.fleetAddress: "fl.example.org" is not HOST:PORT: there is no port (for example "fl.example.org:9092")'),
        (OUTSIDE + 'superlink: {expose: {fleetAddress: ^"fl.example.org:70000"}}', 'spec.superlink.expose.fleetAddress: "fl.example.org:70000" is not HOST:PORT: "70000" is not a port from 1 to 65535 (for example "fl.example.org:9092")'),
        (OUTSIDE + 'superlink: {expose: ^{fleetAddress: "fl.example.org:1", service: {}, ingress: {}}}', "spec.superlink.expose: has service and ingress (keep one of them)"),
        (OUTSIDE + 'superlink: {expose: ^{fleetAddress: "192.0.2.7:1", ingress: {}}}', "spec.superlink.expose: has ingress, which tells federations apart by name, and 192.0.2.7 is an address (dial a host name, or use a service)"),
        (OUTSIDE + 'superlink: {expose: ^{fleetAddress: "fl.example.org:1", acceptOpenControlApi: true}}', "spec.superlink.expose: has acceptOpenControlApi, and listen: Loopback shows nothing (leave it out)"),
        (OUTSIDE + 'superlink: {expose: ^{fleetAddress: "fl.example.org:1", service: {type: NodePort}}}', "spec.superlink.expose: has a service of type: NodePort, and 1 cannot be a port of every node (say which with nodePort, if something brings one to the other; else dial one from 30000 to 32767)"),
        (exposed("ingress: ^{tls: Reencrypt}"), "spec.superlink.expose.ingress: has no secretName, and tls: Reencrypt needs a certificate"),
        (exposed("ingress: ^{secretName: a}"), "spec.superlink.expose.ingress: has a secretName, which is for tls: Reencrypt"),
        (exposed("ingress: {secretName: a, tls: ^Reencrypt}"), "spec.superlink.expose.ingress.tls: an Ingress names the Secret by which it knows the SuperLink with its namespace (write metadata: {namespace: …} too)"),
        (exposed("from: ^[]"), "spec.superlink.expose.from: wanted at least one, found none"),
        (exposed("from: [^{except: [192.0.2.0/24]}]"), "spec.superlink.expose.from[0]: names nothing (a cidr, or a namespaceSelector and a podSelector)"),
    ],
)  # fmt: skip
def test_a_fault_and_its_words(spec: str, problem: str) -> None:
    before, _, after = (HEAD + spec + "\n").partition("^")
    line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
    with pytest.raises(SpecError) as caught:
        parse(before + after, "f")
    assert f"f:{line}:{column}: {problem}" in str(caught.value).splitlines()


def test_those_elsewhere_take_no_memory_here() -> None:
    many = read("supernodes: [{name: a}, {name: b, replicas: 1000, external: true}]\n  " + SHOWN)
    assert check_local(many, 2, 8_000_000_000) == []
    few = read("supernodes: [{name: b, replicas: 1000, external: true}, {name: a, replicas: 100}]\n  " + SHOWN)
    [finding] = check_local(few, 2, 8_000_000_000)
    assert finding.path == ("spec", "supernodes", 1, "replicas")


@pytest.mark.parametrize(
    ("address", "wrong"),
    [
        ("https://fl.example.org:443", "leave out https://"),
        ("fl.example.org:443/fleet", "leave out the path, /fleet"),
        ("[2001:db8::1]", "there is no port"),
        ("2001:db8::1:9092", "an IPv6 address stands in brackets: [2001:db8::1]:9092"),
        (":9092", "there is no host"),
        ("fl_x.example.org:9092", '"fl_x.example.org" is neither a host name nor an IP address'),
        ("fl.example.org:http", '"http" is not a port from 1 to 65535'),
    ],
)
def test_the_part_of_an_address_that_is_wrong_is_named(address: str, wrong: str) -> None:
    with pytest.raises(SpecError, match=re.escape(f'"{address}" is not HOST:PORT: {wrong} (')):
        read(f'{OUTSIDE}superlink: {{expose: {{fleetAddress: "{address}"}}}}')
