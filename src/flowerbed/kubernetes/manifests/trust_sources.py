"""From which objects a federation's programs get what they trust, for each way of keeping the SuperLink's certificate.

SuperNodes' own API is dialled on its own machine only, and always by a certificate of Flowerbed's authority. So where
somebody else issues the SuperLink's certificate there are two kinds of trust, and they are kept apart: who dials the
SuperLink trusts the bundle that was given, and who dials a SuperNode trusts Flowerbed's authority; neither trusts both.
"""

from __future__ import annotations

from dataclasses import dataclass

from flowerbed.kubernetes.manifests import names
from flowerbed.spec.model import FederationSpec
from flowerbed.spec.tls import TlsMode

CERTIFICATE = "tls.crt"
KEY = "tls.key"
BUNDLE = "ca.crt"
"""How a Secret of the type ``kubernetes.io/tls`` calls its parts, and cert-manager what it adds."""


@dataclass(frozen=True)
class Bundle:
    """Where the certificates are of those who are trusted.

    Parameters
    ----------
    kind, name : str
        The object, a Secret or a ConfigMap.
    key : str
        Its key.
    """

    kind: str
    name: str
    key: str = BUNDLE

    def __str__(self) -> str:
        """Return it as kubectl writes it, with its key."""
        return f"{self.kind.lower()}/{self.name}, {self.key}"


@dataclass(frozen=True)
class TrustSources:
    """From which objects a federation's programs get what they trust.

    Parameters
    ----------
    federation : str
        The federation's name.
    certificate : str
        The Secret with the SuperLink's certificate.
    bundle : Bundle
        Whom clients of the SuperLink trust.
    foreign : bool
        Whether another than Flowerbed's authority issues the SuperLink's certificate, whenever it likes.
    """

    federation: str
    certificate: str
    bundle: Bundle
    foreign: bool

    @property
    def loopback(self) -> Bundle:
        """Whom clients of a SuperNode trust."""
        return Bundle("ConfigMap", names.authority(self.federation))


def trust_sources(name: str, spec: FederationSpec) -> TrustSources:
    """Return what a file says of a federation with a name."""
    tls, mode = spec.security.tls, spec.tls_mode
    own = names.superlink_tls(name)
    secret = tls.secret_name or own
    foreign = mode in (TlsMode.SECRET, TlsMode.CERT_MANAGER)
    bundle = Bundle("Secret", secret) if foreign else Bundle("ConfigMap", names.authority(name))
    if tls.trust_bundle is not None:
        given, config_map = tls.trust_bundle.secret_key_ref, tls.trust_bundle.config_map_key_ref
        if given is not None:
            bundle = Bundle("Secret", given.name, given.key)
        elif config_map is not None:
            bundle = Bundle("ConfigMap", config_map.name, config_map.key)
    return TrustSources(name, secret, bundle, foreign)
