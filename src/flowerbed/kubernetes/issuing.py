"""What keeps cert-manager from having issued a certificate, from its objects. Pure.

The objects are cert-manager.io/v1 (cert-manager.io, "Certificate resource" and "CertificateRequest resource"): a
Certificate is Ready when its Secret holds what its newest spec asks for, and each attempt is a CertificateRequest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flowerbed.kubernetes.living import metadata, name

Object = Mapping[str, Any]

_NAME = "cert-manager.io/certificate-name"
_REVISION = "cert-manager.io/certificate-revision"


def issued(certificate: Object | None) -> bool:
    """Tell whether a certificate's Secret holds what its newest spec asks for."""
    ready = _condition(certificate or {}, "Ready")
    seen = ready.get("observedGeneration")
    newest = seen is None or int(seen) >= int(metadata(certificate or {}).get("generation") or 0)
    return ready.get("status") == "True" and newest


def why_not(certificate: Object | None, requests: Iterable[Object]) -> str:
    """Return what keeps a certificate from being issued, in a clause."""
    if certificate is None:
        return "the Certificate is gone"
    if not _conditions(certificate):
        return "nobody has looked at the Certificate yet: does cert-manager run?"
    mine = [one for one in requests if (metadata(one).get("annotations") or {}).get(_NAME) == name(certificate)]
    newest = max(mine, key=_revision, default=None)
    if newest is None:
        return _said(certificate, "Issuing") or _said(certificate, "Ready") or "cert-manager has not asked for it yet"
    for kind in ("InvalidRequest", "Denied"):
        if _condition(newest, kind).get("status") == "True":
            return f"the request {name(newest)} is {kind}: {_said(newest, kind)}"
    if said := _said(newest, "Ready"):
        return f"the request {name(newest)} is not answered: {said}"
    issuer = (newest.get("spec") or {}).get("issuerRef") or {}
    return (
        f"nobody has answered the request {name(newest)}: does the controller of {issuer.get('kind') or 'Issuer'} "
        f"{issuer.get('name')} in {issuer.get('group') or 'cert-manager.io'} run, and is the request approved?"
    )


def _revision(request: Object) -> int:
    text = str((metadata(request).get("annotations") or {}).get(_REVISION) or "")
    return int(text) if text.isdigit() else 0


def _conditions(item: Object) -> list[dict[str, Any]]:
    return list((item.get("status") or {}).get("conditions") or [])


def _condition(item: Object, kind: str) -> dict[str, Any]:
    return next((one for one in _conditions(item) if one.get("type") == kind), {})


def _said(item: Object, kind: str) -> str:
    found = _condition(item, kind)
    return str(found.get("message") or found.get("reason") or "")
