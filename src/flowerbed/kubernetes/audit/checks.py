"""All checks, in the order in which they are made."""

from __future__ import annotations

from collections.abc import Iterator

from flowerbed.kubernetes.audit import network, pods
from flowerbed.kubernetes.audit.model import Audited, Check, Severity
from flowerbed.spec.finding import Finding
from flowerbed.spec.kubernetes import TlsMode


def _tls(audited: Audited) -> Iterator[Finding]:
    if audited.spec.security.tls.mode is TlsMode.DISABLED:
        yield Finding(
            ("spec", "security", "tls", "mode"),
            "connections are not encrypted, and nobody can tell whether the SuperLink is the one that is meant",
            "run it only where you trust the network and all who reach it",
        )


def _node_auth(audited: Audited) -> Iterator[Finding]:
    if not audited.spec.security.node_auth:
        yield Finding(
            ("spec", "security", "nodeAuth"),
            "whoever reaches the SuperLink can join as a SuperNode",
            "let nobody reach it whom you would not let join",
        )


CHECKS: tuple[Check, ...] = (
    Check("tls-disabled", Severity.ERROR, "Connections between Flower's programs are encrypted.", _tls),
    Check("node-auth-off", Severity.WARNING, "SuperNodes prove who they are.", _node_auth),
    *network.CHECKS,
    *pods.CHECKS,
)
