"""Where in its Pods a federation's certificates and keys are, and which Secrets and ConfigMaps bring them there.

Each Pod gets what its own programs read, and no more: the authority's key is in no Pod, what the ServerApp's SuperExec
signs with is in no SuperNode's, and of a pool's keys each SuperNode sees its own. Only names are written here; what the
Secrets hold is made by `flowerbed.kubernetes.trusting`, or by somebody else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flowerbed.flower.families.protection import has_secret
from flowerbed.flower.release import Minor
from flowerbed.flower.values import Trusted
from flowerbed.kubernetes.manifests import names
from flowerbed.kubernetes.manifests.identity import Object
from flowerbed.kubernetes.manifests.places import SCRATCH
from flowerbed.kubernetes.manifests.trust_sources import BUNDLE, CERTIFICATE, KEY, Bundle, TrustSources
from flowerbed_inside.unit import node_keys

FOLDER = "/flowerbed-trust"
FOLDER_OF_AUTHORITY = f"{FOLDER}/authority"
FOLDER_OF_LOOPBACK = f"{FOLDER}/loopback"
FOLDER_OF_SUPERLINK = f"{FOLDER}/superlink"
AUTHORITY = f"{FOLDER_OF_AUTHORITY}/ca.crt"
"""Whom clients of the SuperLink trust."""
LOOPBACK_AUTHORITY = f"{FOLDER_OF_LOOPBACK}/ca.crt"
"""Flowerbed's own authority, where another has issued the SuperLink's certificate: whom clients of a SuperNode trust,
and the proxy before the SuperLink."""

SECRET = "secret"  # noqa: S105 - a file's name
SUPEREXEC_SECRET = "superexec-secret"  # noqa: S105 - a file's name
NODE_LIST = "nodes.json"
NODE_CSV = "nodes.csv"
DISMISSED_LIST = "revoked.json"
"""The public keys that let nobody in any more, by the names of the SuperNodes that had them."""
EXTERNAL_LIST = "external.json"
"""The names of those SuperNodes of the list that run elsewhere."""

SUPERLINK_CERTIFICATE = f"{FOLDER_OF_SUPERLINK}/{CERTIFICATE}"
SUPERLINK_KEY = f"{FOLDER_OF_SUPERLINK}/{KEY}"

_CLIENT = f"{FOLDER}/control-client"
_SUPEREXEC = f"{FOLDER}/superexec"
_SUPERNODE = f"{FOLDER}/supernode"
_NODES = f"{FOLDER}/nodes"
_KEYS = f"{FOLDER}/keys"
_NODE = f"{SCRATCH}/flowerbed-node"

_READABLE = 0o440
"""By the group of the Pod's user, whom the kubelet makes their group."""


@dataclass(frozen=True)
class PodTrust:
    """What a Pod gets.

    Parameters
    ----------
    files : dict of Trusted to str
        Where its programs find what.
    volumes, mounts, environment : tuple of dict
        Parts of the Pod's spec.
    options : tuple of str
        More for our init.
    """

    files: Mapping[Trusted, str] = field(default_factory=dict)
    volumes: tuple[Object, ...] = ()
    mounts: tuple[Object, ...] = ()
    environment: tuple[Object, ...] = ()
    options: tuple[str, ...] = ()


NOTHING = PodTrust()


def of_superlink(sources: TrustSources, minor: Minor, *, node_auth: bool, closed: bool, database: str) -> PodTrust:
    """Return what the SuperLink's Pod gets.

    With `node_auth` its unit tells it which SuperNodes may join; with `closed` a proxy asks who calls Control.
    """
    files = {
        Trusted.AUTHORITY: AUTHORITY,
        Trusted.SUPERLINK_CERTIFICATE: SUPERLINK_CERTIFICATE,
        Trusted.SUPERLINK_KEY: SUPERLINK_KEY,
        Trusted.SUPEREXEC_SECRET: f"{_SUPEREXEC}/{SECRET}",
        Trusted.NODE_LIST: f"{_NODES}/{NODE_CSV}",
    }
    federation = sources.federation
    brought = [
        _authority(sources),
        _secret(
            "flowerbed-superlink-tls",
            sources.certificate,
            FOLDER_OF_SUPERLINK,
            *((CERTIFICATE, KEY) if sources.foreign else ()),
        ),
        *([_secret("flowerbed-superexec", names.superexec(federation), _SUPEREXEC)] if has_secret(minor) else []),
    ]
    if closed and sources.foreign:
        brought.append(_bundle("flowerbed-loopback", sources.loopback, LOOPBACK_AUTHORITY))
    options = ["--root-certificates", AUTHORITY, "--end-when-changed", files[Trusted.SUPERLINK_CERTIFICATE]]
    options += _ends_with_bundle(sources)
    if node_auth:
        brought.append(_config_map("flowerbed-nodes", names.nodes(federation), _NODES))
        options += ["--register-nodes", f"{_NODES}/{NODE_LIST}", "--dismiss-nodes", f"{_NODES}/{DISMISSED_LIST}"]
        options += ["--database", database]
    return PodTrust(files, *_parts(brought), options=tuple(options))


def of_serverapp(sources: TrustSources, minor: Minor) -> PodTrust:
    """Return what the Pod of the ServerApp's SuperExec gets."""
    files = {Trusted.AUTHORITY: AUTHORITY, Trusted.SUPEREXEC_SECRET: f"{_SUPEREXEC}/{SECRET}"}
    name = names.superexec(sources.federation)
    secret = [_secret("flowerbed-superexec", name, _SUPEREXEC)] if has_secret(minor) else []
    return PodTrust(files, *_parts([_authority(sources), *secret]), options=tuple(_ends_with_bundle(sources)))


def of_supernode(sources: TrustSources, minor: Minor, pool: str, *, node_auth: bool, refused: str) -> PodTrust:
    """Return what the Pods of a pool get: each SuperNode sees its own keys alone."""
    files = {
        Trusted.AUTHORITY: AUTHORITY,
        Trusted.LOOPBACK_AUTHORITY: LOOPBACK_AUTHORITY if sources.foreign else AUTHORITY,
        Trusted.LOOPBACK_CERTIFICATE: f"{_SUPERNODE}/{CERTIFICATE}",
        Trusted.LOOPBACK_KEY: f"{_SUPERNODE}/{KEY}",
        Trusted.SUPEREXEC_SECRET: f"{_SUPERNODE}/{SUPEREXEC_SECRET}",
        Trusted.NODE_KEY: f"{_NODE}/{node_keys.KEY}",
        Trusted.NODE_PUBLIC_KEY: f"{_NODE}/{node_keys.PUBLIC}",
    }
    federation = sources.federation
    brought = [_authority(sources)]
    if has_secret(minor):
        brought.append(_secret("flowerbed-supernode", names.supernode_secret(federation), _SUPERNODE))
        if sources.foreign:
            brought.append(_bundle("flowerbed-loopback", sources.loopback, LOOPBACK_AUTHORITY))
    options = tuple(_ends_with_bundle(sources))
    if not node_auth:
        return PodTrust(files, *_parts(brought), options=options)
    volume, mount = _secret("flowerbed-keys", names.pool_keys(federation, pool), _KEYS)
    volumes, mounts = _parts([*brought, (volume, {**mount, "subPathExpr": "$(POD_NAME)"})])
    pod_name = {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    options += ("--node-keys", f"{_KEYS}={_NODE}", "--refused", refused)
    return PodTrust(files, volumes, mounts, (pod_name,), options)


def of_run(sources: TrustSources, *, client: bool) -> PodTrust:
    """Return what the Job of a run gets; as a `client` also what it shows to the proxy before the SuperLink."""
    trusted = ("--root-certificates", AUTHORITY)
    if not client:
        return PodTrust({Trusted.AUTHORITY: AUTHORITY}, *_parts([_authority(sources)]), options=trusted)
    shown = _secret("flowerbed-control-client", names.control_client(sources.federation), _CLIENT)
    own = ("--client-certificate", f"{_CLIENT}/{CERTIFICATE}", "--client-key", f"{_CLIENT}/{KEY}")
    files = {Trusted.AUTHORITY: AUTHORITY}
    return PodTrust(files, *_parts([_authority(sources), shown]), options=(*trusted, *own))


def _ends_with_bundle(sources: TrustSources) -> list[str]:
    """Return by what a program is started again once others are trusted: it reads them only when it starts."""
    return ["--end-when-changed", AUTHORITY] if sources.foreign else []


def admitted_nodes(config_map: Mapping[str, Any] | None) -> dict[str, list[str]]:
    """Return which SuperNodes may join, as the ConfigMap says: their names and public keys, in PEM."""
    return dict(json.loads(_said(config_map, NODE_LIST) or "{}"))


def dismissed_nodes(config_map: Mapping[str, Any] | None) -> dict[str, list[str]]:
    """Return which public keys let nobody in any more, by the names of the SuperNodes that had them, in PEM."""
    return dict(json.loads(_said(config_map, DISMISSED_LIST) or "{}"))


def external_nodes(config_map: Mapping[str, Any] | None) -> dict[str, list[str]]:
    """Return those of them that run elsewhere."""
    known = admitted_nodes(config_map)
    return {name: known.get(name, []) for name in json.loads(_said(config_map, EXTERNAL_LIST) or "[]")}


def _said(config_map: Mapping[str, Any] | None, key: str) -> str:
    return str(((config_map or {}).get("data") or {}).get(key) or "")


def _parts(brought: list[tuple[Object, Object]]) -> tuple[tuple[Object, ...], tuple[Object, ...]]:
    return tuple(volume for volume, _ in brought), tuple(mount for _, mount in brought)


def _authority(sources: TrustSources) -> tuple[Object, Object]:
    return _bundle("flowerbed-authority", sources.bundle, AUTHORITY)


def _bundle(volume: str, bundle: Bundle, path: str) -> tuple[Object, Object]:
    """Return a bundle alone as a file of its own: beside it in a Secret there can be a key."""
    folder, _, file = path.rpartition("/")
    if bundle.kind == "Secret":
        return _secret(volume, bundle.name, folder, bundle.key, called=file)
    return _config_map(volume, bundle.name, folder, *(() if bundle.key == BUNDLE else (bundle.key,)), called=file)


def _secret(volume: str, name: str, path: str, *only: str, called: str = "") -> tuple[Object, Object]:
    source = {"secretName": name, "defaultMode": _READABLE, **_items(only, called)}
    return _brought(volume, {"secret": source}, path)


def _config_map(volume: str, name: str, path: str, *only: str, called: str = "") -> tuple[Object, Object]:
    source = {"name": name, "defaultMode": _READABLE, **_items(only, called)}
    return _brought(volume, {"configMap": source}, path)


def _items(only: tuple[str, ...], called: str) -> Object:
    return {"items": [{"key": key, "path": called or key} for key in only]} if only else {}


def _brought(volume: str, source: Object, path: str) -> tuple[Object, Object]:
    return {"name": volume, **source}, {"name": volume, "mountPath": path, "readOnly": True}
