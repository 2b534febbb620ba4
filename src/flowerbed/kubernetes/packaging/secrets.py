"""How the Secrets that a federation needs can come from elsewhere: skeletons, and a page that lists them all. Pure.

No value is ever in what is rendered. An ExternalSecret (external-secrets.io, "API specification", v1) names where a
store has a value; a SealedSecret (github.com/bitnami-labs/sealed-secrets) holds what only its controller can read.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from flowerbed.kubernetes.manifests.identity import Identity, Object
from flowerbed.kubernetes.manifests.needed import Needed

PAGE = "SECRETS.md"
STORE = "YOUR-STORE"
SEALED = "SEALED-BY-KUBESEAL"

_MOST = 6
_MORE = "…"


class Skeleton(StrEnum):
    """Which objects stand for the Secrets that a federation needs."""

    EXTERNAL_SECRET = "ExternalSecret"  # noqa: S105 - a kind of object
    SEALED_SECRET = "SealedSecret"  # noqa: S105 - a kind of object


def skeletons(kind: Skeleton, found: Iterable[Needed], identity: Identity) -> list[Object]:
    """Return an object for each Secret that Flowerbed would make."""
    make = _external if kind is Skeleton.EXTERNAL_SECRET else _sealed
    return [make(one, identity) for one in found if one.kind == "Secret" and one.by == "flowerbed"]


def remote_key(one: Needed, identity: Identity) -> str:
    """Return what a Secret is called in a store: by its namespace, where there is one, and its name."""
    return f"{identity.namespace}/{one.name}" if identity.namespace else one.name


def _external(one: Needed, identity: Identity) -> Object:
    remote = remote_key(one, identity)
    return {
        "apiVersion": "external-secrets.io/v1",
        "kind": "ExternalSecret",
        "metadata": identity.metadata(one.name),
        "spec": {
            "refreshInterval": "1h",
            "secretStoreRef": {"kind": "SecretStore", "name": STORE},
            "target": {"name": one.name, "creationPolicy": "Owner", "template": {"type": one.type}},
            "data": [{"secretKey": key, "remoteRef": {"key": remote, "property": key}} for key in one.keys],
        },
    }


def _sealed(one: Needed, identity: Identity) -> Object:
    meta = identity.metadata(one.name)
    return {
        "apiVersion": "bitnami.com/v1alpha1",
        "kind": "SealedSecret",
        "metadata": meta,
        "spec": {
            "encryptedData": dict.fromkeys(one.keys, SEALED),
            "template": {"metadata": meta, "type": one.type},
        },
    }


def header(found: list[Needed]) -> str:
    """Return the comment above a stream that lists what its objects refer to and do not hold."""
    lines = ["Not among these objects, but mounted by their Pods:"]
    lines += [f"  {one.kind}/{one.name}: {', '.join(_shortened(one.keys))} (by {one.by})" for one in found]
    lines += ["`flowerbed up` makes what is Flowerbed's; without it, `flowerbed trust make` does."]
    return "".join(f"# {line}\n" for line in lines)


def page(found: list[Needed], federation: str) -> str:
    """Return the page that lists what manifests refer to and do not hold."""
    rows = [f"| `{one.kind}/{one.name}` | {_keys(one)} | {one.by} | {one.about} |" for one in found]
    return "\n".join(
        [
            f"# What the federation {federation} needs beside these manifests",
            "",
            "Written by `flowerbed render`; no value is in here. `flowerbed up` makes what is Flowerbed's to make. Who",
            "applies these manifests by other means makes it once, with `flowerbed trust make --output FOLDER`, and",
            "brings it to the cluster: the ConfigMaps as they are, the Secrets by a store or sealed.",
            "",
            "| Object | Keys | Made by | What it is |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _keys(one: Needed) -> str:
    return ", ".join(f"`{key}`" if key != _MORE else key for key in _shortened(one.keys))


def _shortened(keys: tuple[str, ...]) -> tuple[str, ...]:
    return keys if len(keys) <= _MOST else (*keys[:2], _MORE, keys[-1])
