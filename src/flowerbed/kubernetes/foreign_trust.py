"""The SuperLink's certificate where somebody else keeps it: read from the cluster, and looked at before it is used.

Pure but for the two callables: what is there comes in, what is wrong with it goes out.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from flowerbed.errors import TrustError
from flowerbed.kubernetes.manifests.certificate import dialled_names
from flowerbed.kubernetes.manifests.identity import Object
from flowerbed.kubernetes.manifests.trust_sources import CERTIFICATE, KEY, Bundle, trust_sources
from flowerbed.spec.model import Federation
from flowerbed.spec.tls import TlsMode
from flowerbed.trust.foreign import bundle_faults, certificate_faults

Find = Callable[[str, str], Object | None]
"""Returns the object of a kind and a name, as the API server has it."""


@dataclass(frozen=True)
class Foreign:
    """A SuperLink's certificate that somebody else keeps, and whom its clients trust; both in PEM."""

    certificate: bytes
    bundle: bytes


def read(federation: Federation, namespace: str, find: Find, now: datetime) -> Foreign:
    """Return what is there, if Flower's programs will be content with it.

    Raises
    ------
    TrustError
        With everything that is missing or wrong.
    """
    sources = trust_sources(federation.metadata.name, federation.spec)
    kept = find("Secret", sources.certificate)
    where = f"secret/{sources.certificate} in the namespace {namespace}"
    if kept is None:
        raise TrustError("there is no such Secret", where=where, hint=_how_to_make(federation))
    data = _data(kept)
    missing = [key for key in (CERTIFICATE, KEY) if not data.get(key)]
    if missing:
        raise TrustError(f"has no {' and no '.join(missing)}", where=where, hint=_how_to_make(federation))
    faults = list(certificate_faults(data[CERTIFICATE], data[KEY], dialled_names(federation), now))
    if faults:
        raise TrustError(_joined(faults), where=where, hint=_renew(federation))
    bundle = _bundle(sources.bundle, namespace, find)
    place = f"{sources.bundle} in the namespace {namespace}"
    if faults := list(bundle_faults(data[CERTIFICATE], bundle, now)):
        raise TrustError(
            f"whoever trusts it does not trust the certificate in secret/{sources.certificate}: {_joined(faults)}",
            where=place,
            hint="It needs the certificate of the authority at the end of the chain, which signed itself, in PEM.",
        )
    return Foreign(data[CERTIFICATE], bundle)


def _bundle(bundle: Bundle, namespace: str, find: Find) -> bytes:
    found = find(bundle.kind, bundle.name)
    where = f"{bundle.kind.lower()}/{bundle.name} in the namespace {namespace}"
    if found is None:
        raise TrustError(f"there is no such {bundle.kind}", where=where, hint=_BUNDLE)
    data = _data(found) if bundle.kind == "Secret" else {key: text.encode() for key, text in _texts(found).items()}
    if not data.get(bundle.key):
        raise TrustError(f"has no {bundle.key}, so nobody knows whom to trust", where=where, hint=_BUNDLE)
    return data[bundle.key]


def _texts(found: Object) -> dict[str, str]:
    return dict(found.get("data") or {})


def _data(found: Object) -> dict[str, bytes]:
    try:
        return {key: base64.b64decode(value) for key, value in _texts(found).items()}
    except binascii.Error:
        return {}


def _joined(faults: list[str]) -> str:
    return "; ".join(faults)


def _how_to_make(federation: Federation) -> str:
    if federation.spec.tls_mode is TlsMode.CERT_MANAGER:
        return "cert-manager makes it: `kubectl describe certificate,certificaterequest` says what keeps it."
    names = ", ".join(dialled_names(federation))
    return (
        f"Make it: type kubernetes.io/tls, with tls.crt, tls.key and ca.crt, for the names {names}; "
        "or write tls: {mode: Auto}, and Flowerbed makes one itself."
    )


def _renew(federation: Federation) -> str:
    if federation.spec.tls_mode is TlsMode.CERT_MANAGER:
        return "cert-manager issues it anew when the Secret is deleted; what it may not sign, its issuer says."
    names = ", ".join(dialled_names(federation))
    return f"Put one there that is for {names}, with its key; programs are started again by themselves."


_BUNDLE = "Put the authority's certificate there, in PEM, or name in tls.trustBundle where it is."
