"""Images are run only if somebody has signed them whom the file names."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

from flowerbed.errors import SignatureRefused
from flowerbed.flower.releases import Row
from flowerbed.kubernetes.manifests import images
from flowerbed.kubernetes.opening import Opened
from flowerbed.registry.client import Registries
from flowerbed.registry.signatures import read_key, verify


def key_texts(found: Opened) -> list[str]:
    """Return the public keys that the file names, in PEM.

    Raises
    ------
    SignatureRefused
        If one cannot be read, or is none.
    """
    wanted = found.federation.spec.security.signatures
    texts = []
    for name in wanted.keys if wanted is not None else ():
        content = _read(found.loaded.path.parent / name)
        read_key(content, name)
        texts.append(content.decode("ascii"))
    return texts


def verified(found: Opened, row: Row) -> Opened:
    """Return the same with each image by the digest under which its signature was verified.

    A file that names no keys is returned as it is.

    Raises
    ------
    SignatureRefused
        If an image is not signed by one of the keys; nothing has been applied.
    RegistryError
        If a registry does not tell.
    """
    texts = key_texts(found)
    if not texts:
        return found
    keys = [read_key(text.encode(), "") for text in texts]
    digests, refused = {}, []
    with closing(Registries()) as registries:
        for _, image in images.used(found.federation.spec, row):
            digest = registries.digest(image)
            if why := verify(registries, image, digest, keys):
                refused.append(f"{image.partition('@')[0]}@{digest}: {why}")
            if not images.is_pinned(image):
                digests[image] = digest
    if refused:
        raise SignatureRefused(
            "\n".join(refused),
            where="spec.security.signatures",
            hint="Sign what you trust, by its digest: cosign sign --key cosign.key IMAGE@DIGEST. Flower's own images"
            " you copy into a registry of yours first (spec.images.registry).",
        )
    federation = images.pinned(found.federation, row, digests)
    return replace(found, loaded=replace(found.loaded, federation=federation))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SignatureRefused(f"the key cannot be read: {error.strerror}", where=str(path)) from error
