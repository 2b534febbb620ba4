"""What an image is made of: manifests, and the descriptors in them (github.com/opencontainers/image-spec). Pure."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from flowerbed.errors import RegistryError

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
INDICES = (OCI_INDEX, DOCKER_LIST)
IMAGES = (OCI_MANIFEST, DOCKER_MANIFEST)

_ELSEWHERE = ("foreign", "nondistributable")
"""In the media types of layers that no registry holds: Windows' own, which come from where their URLs say."""

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

Descriptor = dict[str, Any]


def digest_of(body: bytes) -> str:
    """Return the digest of some bytes."""
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


@dataclass(frozen=True)
class Manifest:
    """The manifest of an image, or an index of several.

    Parameters
    ----------
    media_type : str
        What it is.
    body : bytes
        Its bytes; never made anew from what they say, since its digest is of them.
    """

    media_type: str
    body: bytes

    @cached_property
    def digest(self) -> str:
        """What it is called."""
        return digest_of(self.body)

    def blobs(self, where: str) -> dict[str, int]:
        """Return the blobs that it needs, digest → size.

        Parameters
        ----------
        where : str
            The image, for errors.

        Raises
        ------
        RegistryError
            If it is not as the specification has it.
        """
        if self.media_type in INDICES:
            return {}
        said = self._said(where)
        layers = said.get("layers")
        if not isinstance(layers, list):
            raise _odd(where)
        kept = [one for one in layers if not _is_elsewhere(one)]
        return dict(_entry(one, where) for one in [said.get("config"), *kept])

    def children(self, where: str) -> list[str]:
        """Return the digests of the manifests that an index is made of, in its order.

        Raises
        ------
        RegistryError
            As `blobs` does.
        """
        if self.media_type in IMAGES:
            return []
        if self.media_type not in INDICES:
            raise RegistryError(
                f"it is of a kind that is not known: {self.media_type or 'it does not say of which'}",
                where=where,
                hint="Images as Docker and OCI make them since 2016 are known.",
            )
        found = self._said(where).get("manifests")
        if not isinstance(found, list):
            raise _odd(where)
        return [_entry(one, where)[0] for one in found]

    def _said(self, where: str) -> dict[str, Any]:
        try:
            said = json.loads(self.body)
        except ValueError:
            said = None
        if not isinstance(said, dict):
            raise _odd(where)
        return said


def _is_elsewhere(layer: object) -> bool:
    kind = str(layer.get("mediaType")) if isinstance(layer, dict) and layer.get("urls") else ""
    return any(word in kind for word in _ELSEWHERE)


def _entry(one: object, where: str) -> tuple[str, int]:
    digest, size = (one.get("digest"), one.get("size")) if isinstance(one, dict) else (None, None)
    if not isinstance(digest, str) or not DIGEST.fullmatch(digest) or not isinstance(size, int) or size < 0:
        raise _odd(where)
    return digest, size


def _odd(where: str) -> RegistryError:
    return RegistryError("its manifest is not as the OCI specification has it", where=where)
