"""Which Secrets and ConfigMaps a federation's Pods mount that are not among its rendered objects. Pure.

`up` makes them, with what is in them; who applies rendered manifests by other means brings them, by these names.
"""

from __future__ import annotations

from dataclasses import dataclass

from flowerbed.flower.families.protection import has_secret
from flowerbed.flower.releases import Row
from flowerbed.kubernetes.manifests import names
from flowerbed.kubernetes.manifests.trust import (
    NODE_CSV,
    NODE_LIST,
    SECRET,
    SUPEREXEC_SECRET,
)
from flowerbed.kubernetes.manifests.trust_sources import BUNDLE, CERTIFICATE, KEY, trust_sources
from flowerbed.spec.model import Federation
from flowerbed.spec.tls import TlsMode
from flowerbed.topology.build import protection

TLS_TYPE = "kubernetes.io/tls"


@dataclass(frozen=True)
class Needed:
    """A Secret or ConfigMap that Pods mount.

    Parameters
    ----------
    kind, name : str
        Which.
    keys : tuple of str
        What it has to hold.
    about : str
        What that is.
    by : str
        Who makes it: ``flowerbed`` (by `up`, or `trust make`), ``cert-manager``, or ``you``.
    type : str
        A Secret's type.
    """

    kind: str
    name: str
    keys: tuple[str, ...]
    about: str
    by: str = "flowerbed"
    type: str = "Opaque"


def needed(federation: Federation, row: Row) -> list[Needed]:
    """Return all of them, in the order in which they are made."""
    name, spec = federation.metadata.name, federation.spec
    protected = protection(federation)
    if not protected.tls:
        return []
    secret, foreign = has_secret(row.minor), trust_sources(name, spec).foreign
    found = _tls(federation)
    if secret or not foreign or spec.control_closed:
        found.insert(0, Needed("ConfigMap", names.authority(name), (BUNDLE,), "whom programs trust; no secret"))
    if secret:
        about = "with what the ServerApp's SuperExec signs"
        found.append(Needed("Secret", names.superexec(name), (SECRET,), about))
        own = (CERTIFICATE, KEY, SUPEREXEC_SECRET)
        found.append(Needed("Secret", names.supernode_secret(name), own, "what SuperNodes serve and sign with"))
    if spec.control_closed:
        of_runs = (CERTIFICATE, KEY, BUNDLE)
        found.append(Needed("Secret", names.control_client(name), of_runs, "what runs show for Control", type=TLS_TYPE))
    if not protected.node_auth:
        return found
    for pool in spec.own_pools:
        keys = tuple(f"{names.pool(name, pool.name)}-{ordinal}" for ordinal in range(pool.replicas))
        found.append(Needed("Secret", names.pool_keys(name, pool.name), keys, "the keys of the pool's SuperNodes"))
    lists = (NODE_LIST,) if row.contract.registers_nodes else (NODE_LIST, NODE_CSV)
    return [*found, Needed("ConfigMap", names.nodes(name), lists, "which SuperNodes may join; no secret")]


def _tls(federation: Federation) -> list[Needed]:
    sources, mode = trust_sources(federation.metadata.name, federation.spec), federation.spec.tls_mode
    by = {TlsMode.SECRET: "you", TlsMode.CERT_MANAGER: "cert-manager"}.get(mode, "flowerbed")
    own = sources.bundle.name == sources.certificate and sources.bundle.kind == "Secret"
    more = (sources.bundle.key,) if own else (BUNDLE,) if not sources.foreign else ()
    about = "the SuperLink's certificate"
    found = [Needed("Secret", sources.certificate, (CERTIFICATE, KEY, *more), about, by, TLS_TYPE)]
    if sources.foreign and not own:
        bundle = sources.bundle
        found.append(Needed(bundle.kind, bundle.name, (bundle.key,), "whom clients of the SuperLink trust", "you"))
    return found
