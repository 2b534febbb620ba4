"""Reads what is audited of a federation that lives in a cluster; only reads."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from itertools import chain

from flowerbed.errors import TrustError
from flowerbed.flower.releases import Row
from flowerbed.kubernetes.applying import ADDED_KINDS, KEPT_KINDS, KINDS
from flowerbed.kubernetes.audit.lived import Lasting, Lived
from flowerbed.kubernetes.cluster import Cluster
from flowerbed.kubernetes.labels import FEDERATION, INSTANCE
from flowerbed.kubernetes.living import name
from flowerbed.kubernetes.manifests import names
from flowerbed.kubernetes.manifests.identity import Object
from flowerbed.kubernetes.manifests.needed import needed
from flowerbed.kubernetes.manifests.trust_sources import BUNDLE, CERTIFICATE, trust_sources
from flowerbed.kubernetes.opening import Opened
from flowerbed.topology.build import protection
from flowerbed.trust import certificates


def lived(found: Opened, row: Row, cluster: Cluster, namespace: str) -> Lived:
    """Return what is audited.

    Parameters
    ----------
    found : Opened
        The file.
    row : Row
        The Flower release that lives there.
    cluster : Cluster
        Where.
    namespace : str
        In which namespace.
    """
    wanted = [item for item in found.objects(row, namespace) if item["kind"] != "Namespace"]
    read = {(item["kind"], name(item)): cluster.get(item["kind"], name(item), namespace) for item in wanted}
    living = {key: item for key, item in read.items() if item is not None}
    added = [kind for kind in ADDED_KINDS if any(item["kind"] == kind for item in wanted)]
    labelled = [
        item
        for kind in (*KINDS, *KEPT_KINDS, *added, "Pod", "Job")
        for item in _labelled(cluster, kind, namespace, found.name)
    ]
    # Policies add up, so everybody's count; a workload that is missing is said to be, and stands here as it should be.
    workloads = [living.get((item["kind"], name(item)), item) for item in wanted if item["kind"] != "NetworkPolicy"]
    return Lived(
        found.federation,
        row,
        (*workloads, *cluster.listing("NetworkPolicy", namespace)),
        namespace,
        wanted=tuple(wanted),
        living=living,
        labelled=tuple(labelled),
        kept=_kept(found, row),
        certificates=tuple(_certificates(found, cluster, namespace)),
        now=datetime.now(UTC),
    )


def _labelled(cluster: Cluster, kind: str, namespace: str, federation: str) -> list[Object]:
    """Return what has the label of ours, or that by which Services and NetworkPolicies find Pods."""
    listed = (cluster.listing(kind, namespace, labels={key: federation}) for key in (FEDERATION, INSTANCE))
    return list({name(item): item for item in chain.from_iterable(listed)}.values())


def _kept(found: Opened, row: Row) -> frozenset[tuple[str, str]]:
    made = {(one.kind, one.name) for one in needed(found.federation, row)}
    made |= {("Secret", secret(found.name)) for secret in (names.authority, names.superexec, names.superlink_tls)}
    claims = {("PersistentVolumeClaim", f"data-{names.superlink(found.name)}-0")}
    return frozenset(made | claims)


def _certificates(found: Opened, cluster: Cluster, namespace: str) -> list[Lasting]:
    if not protection(found.federation).tls:
        return []
    sources = trust_sources(found.name, found.federation.spec)
    asked = (
        ("the authority", "ConfigMap", names.authority(found.name), BUNDLE, False),
        ("the SuperLink", "Secret", sources.certificate, CERTIFICATE, sources.foreign),
        ("SuperNodes", "Secret", names.supernode_secret(found.name), CERTIFICATE, False),
    )
    read = []
    for what, kind, object_name, key, foreign in asked:
        where = f"{kind.lower()}/{object_name}"
        content = _content(cluster.get(kind, object_name, namespace), key)
        try:
            said = certificates.describe(content, where)
        except TrustError:
            continue  # `up` says what is wrong with it, and Pods wait for it
        read.append(Lasting(what, where, said.not_before, said.not_after, foreign))
    return read


def _content(item: Object | None, key: str) -> bytes:
    text = str(((item or {}).get("data") or {}).get(key) or "")
    if item is None or item["kind"] != "Secret":
        return text.encode()
    try:
        return base64.b64decode(text)
    except binascii.Error:
        return b""
