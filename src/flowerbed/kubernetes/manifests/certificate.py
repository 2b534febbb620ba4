"""The SuperLink's certificate as cert-manager is asked for it.

Fields are those of cert-manager.io/v1 (cert-manager.io, "API reference", CertificateSpec). cert-manager fills
the Secret with ``tls.crt``, ``tls.key`` and, if its issuer tells it, ``ca.crt``, and renews all in time.
"""

from __future__ import annotations

import ipaddress

from flowerbed.kubernetes.manifests import names
from flowerbed.kubernetes.manifests.identity import Identity, Object
from flowerbed.spec.model import Federation
from flowerbed.spec.tls import TlsMode
from flowerbed.spec.values import duration_seconds
from flowerbed.topology.model import Role
from flowerbed.trust.servers import LOOPBACK, SERVER_DAYS

GROUP = "cert-manager.io"
API_VERSION = f"{GROUP}/v1"
KIND = "Certificate"


def certificate(federation: Federation, identity: Identity) -> list[Object]:
    """Return the Certificate, where the file asks for one."""
    tls = federation.spec.security.tls
    if federation.spec.tls_mode is not TlsMode.CERT_MANAGER or tls.issuer_ref is None:
        return []
    called = superlink_names(federation, identity.namespace)
    lasting = _seconds(tls.duration) or SERVER_DAYS * 86400
    name = names.superlink_tls(identity.federation)
    meta = identity.metadata(name, Role.SUPERLINK)
    return [
        {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": meta,
            "spec": {
                "secretName": name,
                "secretTemplate": {"labels": meta["labels"]},  # by which `down --volumes` finds the Secret
                "issuerRef": tls.issuer_ref.model_dump(by_alias=True),
                "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
                "usages": ["digital signature", "server auth"],
                "duration": _go(lasting),
                "renewBefore": _go(_seconds(tls.renew_before) or lasting // 3),
                "dnsNames": [one for one in called if not _is_address(one)],
                "ipAddresses": [one for one in called if _is_address(one)],
            },
        }
    ]


def superlink_names(federation: Federation, namespace: str | None) -> tuple[str, ...]:
    """Return what the SuperLink is called: in its Pod, in its namespace, in the cluster, and outside."""
    service = names.superlink(federation.metadata.name)
    inside = [f"{service}.{namespace}", f"{service}.{namespace}.svc", f"{service}.{namespace}.svc.cluster.local"]
    outside = federation.spec.superlink_names
    return tuple(dict.fromkeys([*LOOPBACK, service, *(inside if namespace else []), *outside]))


def dialled_names(federation: Federation) -> tuple[str, ...]:
    """Return by which names a SuperLink is dialled in any case: in its own Pod, in its namespace, and outside."""
    own = names.superlink(federation.metadata.name)
    return tuple(dict.fromkeys(["127.0.0.1", own, *federation.spec.superlink_names]))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _seconds(text: str | None) -> int | None:
    return None if text is None else duration_seconds(text)


def _go(seconds: int) -> str:
    """Return a duration as Go writes it, which is how the API server gives it back."""
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}h{minutes}m{left}s" if hours else f"{minutes}m{left}s"
