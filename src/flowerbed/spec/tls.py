"""How connections between Flower's programs are protected, and who keeps the SuperLink's certificate."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from flowerbed.spec.kubernetes import exactly_one
from flowerbed.spec.kubernetes_values import DataKey, ObjectName
from flowerbed.spec.section import Section
from flowerbed.spec.values import Duration, HostName


class TlsMode(StrEnum):
    """How connections between Flower's programs are protected."""

    AUTO = "Auto"
    SECRET = "Secret"  # noqa: S105 - a kind of object
    CERT_MANAGER = "CertManager"
    DISABLED = "Disabled"


class KeyReference(Section):
    """A key of an object of the same namespace."""

    name: ObjectName
    """The object's name."""

    key: DataKey = "ca.crt"
    """The key."""


class TrustBundle(Section):
    """Where the certificates of those are whom clients of the SuperLink trust."""

    secret_key_ref: KeyReference | None = None
    """A key of a Secret."""

    config_map_key_ref: KeyReference | None = None
    """A key of a ConfigMap, as trust-manager fills them."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        return exactly_one(self, ("secret_key_ref", "config_map_key_ref"))


class IssuerReference(Section):
    """Who issues a certificate for cert-manager."""

    name: ObjectName
    """Its name."""

    kind: Annotated[str, Field(min_length=1)] = "Issuer"
    """Its kind: Issuer, ClusterIssuer, or that of an external issuer."""

    group: Annotated[str, Field(min_length=1)] = "cert-manager.io"
    """Its kind's API group."""


class Tls(Section):
    """TLS between Flower's programs."""

    mode: Annotated[TlsMode, Field(strict=False)] | None = None
    """Auto: a certificate authority of the federation's own, and certificates that up makes and renews. Secret: the
    SuperLink's certificate is in a Secret that somebody else keeps. CertManager: cert-manager issues it. Disabled:
    none. Secret and CertManager are for Kubernetes only.
    Default: Auto with layout: Colocated, Disabled with layout: Quickstart."""

    external_names: Annotated[tuple[HostName, ...], Field(strict=False)] = ()
    """More host names and IP addresses of the SuperLink, for its certificate."""

    secret_name: ObjectName | None = None
    """The Secret with the SuperLink's certificate: tls.crt, tls.key and, without trustBundle, ca.crt; mode: Secret."""

    trust_bundle: TrustBundle | None = None
    """Whom clients of the SuperLink trust; mode: Secret or CertManager. Default: the certificate's Secret, ca.crt."""

    issuer_ref: IssuerReference | None = None
    """Who issues the SuperLink's certificate; mode: CertManager."""

    duration: Duration | None = None
    """How long the certificate is good, at least "1h"; mode: CertManager. Default: 90 days."""

    renew_before: Duration | None = None
    """How long before its end it is renewed, at least "5m"; mode: CertManager. Default: a third of the duration."""
