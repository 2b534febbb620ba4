"""Who keeps the SuperLink's certificate: what each mode needs beside it, and what belongs to another one."""

# ruff: noqa: E501 (tables have one case on a line)

from __future__ import annotations

import pytest

from flowerbed.errors import SpecError
from flowerbed.spec.load import parse
from flowerbed.spec.model import Federation

HEAD = (
    "apiVersion: flowerbed.dev/v1alpha1\nkind: Federation\nmetadata: {name: demo}\nspec:\n  supernodes: [{name: a}]\n"
)


def text(tls: str, layout: str = "Colocated") -> str:
    return f"{HEAD}  layout: {layout}\n  security:\n    tls: {tls}\n"


def read(tls: str) -> Federation:
    return parse(text(tls), "f").federation


def test_all_that_is_not_said_has_a_default() -> None:
    tls = read(
        "{mode: CertManager, issuerRef: {name: ca}, trustBundle: {configMapKeyRef: {name: roots}}}"
    ).spec.security.tls
    assert tls.issuer_ref is not None
    assert tls.trust_bundle is not None
    assert tls.issuer_ref.model_dump() == {"name": "ca", "kind": "Issuer", "group": "cert-manager.io"}
    assert tls.trust_bundle.config_map_key_ref is not None
    assert tls.trust_bundle.config_map_key_ref.key == "ca.crt"
    assert read("{mode: Secret, secretName: tls}").spec.node_auth


@pytest.mark.parametrize(
    ("tls", "problem"),
    [
        ("{mode: ^Vault}", 'spec.security.tls.mode: wanted Auto, Secret, CertManager or Disabled, found "Vault" (write Auto)'),
        ("{mode: ^Secret}", "spec.security.tls.mode: Secret needs secretName beside it (name the Secret with the SuperLink's certificate)"),
        ("{mode: ^CertManager}", "spec.security.tls.mode: CertManager needs issuerRef beside it (name the Issuer or ClusterIssuer of cert-manager: issuerRef: {name: …})"),
        ("{secretName: ^tls}", "spec.security.tls.secretName: is for mode: Secret (leave it out, or choose that mode)"),
        ("{mode: Secret, secretName: tls, issuerRef: ^{name: ca}}", "spec.security.tls.issuerRef: is for mode: CertManager (leave it out, or choose that mode)"),
        ("{mode: Disabled, trustBundle: ^{secretKeyRef: {name: x}}}", "spec.security.tls.trustBundle: is for mode: Secret or CertManager (leave it out, or choose that mode)"),
        ("{mode: Secret, secretName: ^Tls}", 'spec.security.tls.secretName: "Tls" is not an object\'s name: small letters, digits, hyphens and dots, a letter or digit first and last'),
        ("{mode: Secret, secretName: tls, trustBundle: ^{}}", "spec.security.tls.trustBundle: names nothing (exactly one of secretKeyRef, configMapKeyRef)"),
        ("{mode: Secret, secretName: tls, trustBundle: {secretKeyRef: {name: x, key: ^a/b}}}", 'spec.security.tls.trustBundle.secretKeyRef.key: "a/b" is not a key of a Secret or ConfigMap: letters, digits, hyphens, underscores, dots'),
        ("{mode: CertManager, issuerRef: {name: ca}, duration: ^30m}", "spec.security.tls.duration: cert-manager issues no certificate for less than 1h"),
        ("{mode: CertManager, issuerRef: {name: ca}, renewBefore: ^4m}", "spec.security.tls.renewBefore: cert-manager renews no certificate less than 5m before its end"),
        ("{mode: CertManager, issuerRef: {name: ca}, duration: 24h, renewBefore: ^24h}", "spec.security.tls.renewBefore: is not less than duration, so it would be renewed again and again"),
        ("{mode: CertManager, issuerRef: {name: ca}, renewBefore: ^2160h}", "spec.security.tls.renewBefore: is not less than duration, so it would be renewed again and again"),
    ],
)  # fmt: skip
def test_a_fault_and_its_words(tls: str, problem: str) -> None:
    before, _, after = text(tls).partition("^")
    line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
    with pytest.raises(SpecError) as caught:
        parse(before + after, "f")
    assert str(caught.value).splitlines() == [f"f:{line}:{column}: {problem}"]


@pytest.mark.parametrize("tls", ["{mode: Secret, secretName: tls}", "{mode: CertManager, issuerRef: {name: ca}}"])
def test_it_is_not_for_quickstart(tls: str) -> None:
    with pytest.raises(SpecError, match=r"f:8:17: spec\.security\.tls\.mode: \w+ is for layout: Colocated"):
        parse(text(tls, "Quickstart"), "f")
