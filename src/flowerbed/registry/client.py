"""Asking a registry what a name stands for (github.com/opencontainers/distribution-spec)."""

from __future__ import annotations

import json
from typing import Any

import httpx2

from flowerbed.errors import RegistryError
from flowerbed.registry.connections import Connections
from flowerbed.registry.descriptors import DIGEST, IMAGES, INDICES, digest_of
from flowerbed.registry.reference import Reference
from flowerbed.registry.refusals import refused

MANIFESTS = (*INDICES, *IMAGES)
"""An index of several platforms before an image of one, so that one digest serves every node."""

_LARGEST = 4 * 2**20  # bytes of a manifest; the specification has registries take no larger ones


class Registries(Connections):
    """All registries, as far as they are read."""

    def digest(self, name: str) -> str:
        """Return the digest, ``sha256:…``, that an image's name stands for now; one that has a digest must exist.

        Raises
        ------
        RegistryError
            If there is no such image, it may not be read, or the registry does not answer.
        """
        place = Reference.parse(name)
        url = place.url(f"manifests/{place.digest or place.tag}")
        answer = self._ask("HEAD", url, name)
        if answer.status_code in (404, 405):  # some proxies know no HEAD
            answer = self._ask("GET", url, name)
        if answer.status_code != 200:
            raise refused(answer, place, name)
        said = answer.headers.get("Docker-Content-Digest", "")
        if not DIGEST.fullmatch(said):
            body = answer.content or self._ask("GET", url, name).content
            if not body or len(body) > _LARGEST:
                raise RegistryError(f"{place.host} does not tell what {name} is", where=name)
            said = digest_of(body)
        if place.digest is not None and said != place.digest:
            raise RegistryError(f"{place.host} answers with {said} instead", where=name)
        return str(said)

    def manifest(self, name: str, reference: str) -> dict[str, Any] | None:
        """Return the manifest beside an image that a tag or a digest stands for; None if there is none.

        Raises
        ------
        RegistryError
            If it may not be read, is not what its digest says, or the registry does not answer.
        """
        found = self.raw_manifest(name, reference)
        return None if found is None else _object(found[1], name)

    def raw_manifest(self, name: str, reference: str) -> tuple[str, bytes] | None:
        """Return the media type of the same and its bytes, of which its digest is.

        Raises
        ------
        RegistryError
            As `manifest` does.
        """
        place = Reference.parse(name)
        answer = self._found(place.url(f"manifests/{reference}"), place, name)
        if answer is None:
            return None
        body = _checked(answer.content, reference, place, name)
        # The manifest's own word is what its digest vouches for; old ones have none.
        said = _object(body, name).get("mediaType")
        kind = said if isinstance(said, str) else answer.headers.get("Content-Type", "").partition(";")[0].strip()
        return kind, body

    def blob(self, name: str, digest: str) -> bytes | None:
        """Return a blob of an image's repository, a small one; None if there is none.

        Raises
        ------
        RegistryError
            If it may not be read, is not what its digest says, or the registry does not answer.
        """
        place = Reference.parse(name)
        answer = self._found(place.url(f"blobs/{digest}"), place, name)
        return None if answer is None else _checked(answer.content, digest, place, name)

    def referrers(self, name: str, digest: str) -> list[dict[str, Any]]:
        """Return the descriptors of what refers to a manifest (opencontainers/distribution-spec, "Listing Referrers").

        A registry that does not have that request keeps them under a tag made of the digest.

        Raises
        ------
        RegistryError
            If they may not be read, or the registry does not answer.
        """
        place = Reference.parse(name)
        answer = self._found(place.url(f"referrers/{digest}"), place, name)
        index = self.manifest(name, digest.replace(":", "-")) if answer is None else _object(answer.content, name)
        found = (index or {}).get("manifests")
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []

    def _found(self, url: str, place: Reference, name: str) -> httpx2.Response | None:
        answer = self._ask("GET", url, name)
        if answer.status_code == 404:
            return None
        if answer.status_code != 200:
            raise refused(answer, place, name)
        if len(answer.content) > _LARGEST:
            raise RegistryError(f"{place.host} answers with {len(answer.content)} bytes, too many", where=name)
        return answer

    def _ask(self, method: str, url: str, name: str) -> httpx2.Response:
        return self.request(method, url, name, headers={"Accept": ", ".join(MANIFESTS)})


def _checked(body: bytes, reference: str, place: Reference, name: str) -> bytes:
    if DIGEST.fullmatch(reference) and digest_of(body) != reference:
        raise RegistryError(f"{place.host} answers with something else than {reference}", where=name)
    return body


def _object(body: bytes, name: str) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise RegistryError("a manifest is no JSON object", where=name)
    return found
