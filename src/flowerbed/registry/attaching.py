"""Putting something beside an image that refers to it, such as what it was made of: an OCI artifact.

github.com/opencontainers/image-spec, "Guidelines for Artifact Usage"; opencontainers/distribution-spec, "Pushing
Manifests with Subject" and "Referrers Tag Schema".
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from flowerbed.errors import RegistryError
from flowerbed.registry.client import Registries
from flowerbed.registry.descriptors import OCI_INDEX, OCI_MANIFEST, Descriptor, digest_of
from flowerbed.registry.pushing import has_blob, push_blob, push_manifest

EMPTY = "application/vnd.oci.empty.v1+json"
_NOTHING = b"{}"


def attach(
    registries: Registries,
    name: str,
    subject: Mapping[str, Any],
    artifact_type: str,
    blobs: Sequence[tuple[str, bytes]],
    annotations: Mapping[str, str] | None = None,
) -> Descriptor:
    """Attach an artifact to an image, and return its descriptor. The same one twice is there once.

    Parameters
    ----------
    registries : Registries
        By which it goes.
    name : str
        The image.
    subject : mapping
        The descriptor of its manifest: media type, digest and size.
    artifact_type : str
        What kind of thing it is, as a media type.
    blobs : sequence of (str, bytes)
        Media type and content of what it holds.
    annotations : mapping of str to str or None
        What else is said of it.

    Raises
    ------
    RegistryError
        If the registry does not take it.
    """
    said = dict(annotations or {})
    empty = _entry(EMPTY, _NOTHING) | {"data": base64.b64encode(_NOTHING).decode()}
    contents = {digest_of(content): content for content in [_NOTHING, *(content for _, content in blobs)]}
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": artifact_type,
        "config": empty,
        "layers": [_entry(kind, content) for kind, content in blobs] or [empty],
        "subject": {key: subject[key] for key in ("mediaType", "digest", "size")},
        **({"annotations": said} if said else {}),
    }
    body = _json(manifest)
    for digest, content in contents.items():
        if not has_blob(registries, name, digest):
            push_blob(registries, name, digest, len(content), content)
    descriptor = _entry(OCI_MANIFEST, body) | {"artifactType": artifact_type}
    if said:
        descriptor["annotations"] = said
    if not push_manifest(registries, name, descriptor["digest"], OCI_MANIFEST, body):
        _list(registries, name, str(subject["digest"]), descriptor)
    return descriptor


def _list(registries: Registries, name: str, subject: str, descriptor: Descriptor) -> None:
    """Add a descriptor to the index that stands in for the list that the registry does not keep."""
    tag = subject.replace(":", "-")
    index = registries.manifest(name, tag)
    listed = [] if index is None else index.get("manifests")
    if not isinstance(listed, list) or (index is not None and index.get("mediaType", OCI_INDEX) != OCI_INDEX):
        raise RegistryError(
            f"its tag {tag} is no index of what refers to an image",
            where=name,
            hint="The registry needs that tag for it. Delete the tag, if nothing else uses it.",
        )
    if any(isinstance(one, dict) and one.get("digest") == descriptor["digest"] for one in listed):
        return
    after = {"schemaVersion": 2, "mediaType": OCI_INDEX, **(index or {}), "manifests": [*listed, descriptor]}
    push_manifest(registries, name, tag, OCI_INDEX, _json(after))


def _entry(kind: str, content: bytes) -> Descriptor:
    return {"mediaType": kind, "digest": digest_of(content), "size": len(content)}


def _json(value: Mapping[str, Any]) -> bytes:
    """Return what is always the same for the same: an artifact's digest is of these bytes."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
