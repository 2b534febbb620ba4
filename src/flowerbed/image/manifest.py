"""An image's configuration and manifest, made of its base's (github.com/opencontainers/image-spec). Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flowerbed.image.layers import OF_DOCKER, Layer
from flowerbed.registry.descriptors import OCI_INDEX, OCI_MANIFEST, Manifest

CONFIG = "application/vnd.oci.image.config.v1+json"
APP_USER = "49999:49999"
"""The user of Flower's own images; for a base that would run as root."""


class Document(Manifest):
    """A JSON document of an image, as it is pushed: a manifest, an index, or a configuration."""

    @classmethod
    def of(cls, content: Mapping[str, Any], media_type: str) -> Document:
        """Return the document with a content, written the same way each time."""
        return cls(media_type, json.dumps(content, sort_keys=True, separators=(",", ":")).encode())

    @property
    def descriptor(self) -> dict[str, Any]:
        """How another document names it."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.body)}


@dataclass(frozen=True)
class Added:
    """A layer on top of the base.

    Parameters
    ----------
    layer : Layer
        The layer.
    what : str
        What it holds, for whoever looks at the image's history.
    """

    layer: Layer
    what: str


def configuration(base: Mapping[str, Any], added: Sequence[Added], labels: Mapping[str, str]) -> Document:
    """Return the configuration of an image on top of a base: what it starts, as whom and with what, is the base's.

    It is no later than its base, so that the same image has the same digest whenever it is made.
    """
    created = base.get("created") or "1970-01-01T00:00:00Z"
    own = dict(base.get("config") or {})
    user = str(own.get("User") or "")
    if user.partition(":")[0] in ("", "0", "root"):
        own["User"] = APP_USER
    own["Labels"] = {**(own.get("Labels") or {}), **labels}
    below = base.get("rootfs") or {}
    history = [{"created": created, "created_by": f"flowerbed build: {one.what}"} for one in added]
    return Document.of(
        {
            **base,
            "created": created,
            "config": own,
            "rootfs": {
                "type": "layers",
                "diff_ids": [*(below.get("diff_ids") or []), *(one.layer.diff_id for one in added)],
            },
            "history": [*(base.get("history") or []), *history],
        },
        CONFIG,
    )


def manifest(
    base: Mapping[str, Any], config: Document, added: Sequence[Added], annotations: Mapping[str, str]
) -> Document:
    """Return the manifest of an image on top of a base."""
    below = [{**layer, "mediaType": OF_DOCKER.get(layer["mediaType"], layer["mediaType"])} for layer in base["layers"]]
    return Document.of(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": config.descriptor,
            "layers": [*below, *(one.layer.descriptor for one in added)],
            "annotations": dict(annotations),
        },
        OCI_MANIFEST,
    )


def index(images: Sequence[tuple[Document, Mapping[str, Any]]], annotations: Mapping[str, str]) -> Document:
    """Return the index of an image for several platforms.

    Parameters
    ----------
    images : sequence
        Each manifest, and its platform as an index has it.
    annotations : mapping
        The index' own.
    """
    manifests = [{**document.descriptor, "platform": dict(platform)} for document, platform in images]
    content = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests, "annotations": dict(annotations)}
    return Document.of(content, OCI_INDEX)
