"""All checks, in the order in which they are made."""

from __future__ import annotations

from collections.abc import Iterator

from flowerbed.kubernetes.audit import network, pods
from flowerbed.kubernetes.audit.model import Audited, Check, Severity
from flowerbed.spec.finding import Finding
from flowerbed.spec.tls import TlsMode


def _tls(audited: Audited) -> Iterator[Finding]:
    if audited.spec.tls_mode is TlsMode.DISABLED:
        yield Finding(
            ("spec", "security", "tls", "mode"),
            "connections are not encrypted, and nobody can tell whether the SuperLink is the one that is meant",
            "run it only where you trust the network and all who reach it",
        )


def _node_auth(audited: Audited) -> Iterator[Finding]:
    if not audited.spec.node_auth:
        yield Finding(
            ("spec", "security", "nodeAuth"),
            "whoever reaches the SuperLink can join as a SuperNode",
            "let nobody reach it whom you would not let join",
        )


def _control(audited: Audited) -> Iterator[Finding]:
    if not audited.spec.control_closed and audited.spec.tls_mode is not TlsMode.DISABLED:
        yield Finding(
            ("spec", "security", "controlApi"),
            "whoever reaches the SuperLink's port for users can submit code: Flower asks nobody who they are",
            "leave it out: a proxy then asks for a certificate",
        )


CHECKS: tuple[Check[Audited], ...] = (
    Check("tls-disabled", Severity.ERROR, "Connections between Flower's programs are encrypted.", _tls),
    Check("node-auth-off", Severity.WARNING, "SuperNodes prove who they are.", _node_auth),
    Check("control-open", Severity.WARNING, "Flower's Control API is not open to everybody.", _control),
    *network.CHECKS,
    *pods.CHECKS,
)
