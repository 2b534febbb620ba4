"""Giving a registry what images are made of, one thing at a time."""

from __future__ import annotations

import io
from pathlib import Path

from flowerbed.errors import RegistryError, RegistryUnreachable
from flowerbed.registry.client import MANIFESTS, Registries
from flowerbed.registry.descriptors import DIGEST, digest_of
from flowerbed.registry.patience import Tries
from flowerbed.registry.pulling import Progress, silent
from flowerbed.registry.reference import Reference
from flowerbed.registry.refusals import refused_write
from flowerbed.registry.uploading import Upload


def has_blob(registries: Registries, name: str, digest: str) -> bool:
    """Tell whether a blob is in an image's repository.

    Raises
    ------
    RegistryError
        If the registry does not tell.
    """
    place = Reference.parse(name)
    answer = registries.request("HEAD", place.url(f"blobs/{digest}"), name, writing=True)
    if answer.status_code >= 500 or answer.status_code == 429:
        raise refused_write(answer, place, name)
    return answer.status_code == 200  # what may not be read here may still be written, and that will say it better


def mount_blob(registries: Registries, name: str, digest: str, source_repository: str) -> bool:
    """Have the registry take a blob from another of its repositories; False if it has to be pushed.

    Raises
    ------
    RegistryError
        If the registry does not answer.
    """
    place = Reference.parse(name)
    url = place.url(f"blobs/uploads/?mount={digest}&from={source_repository}")
    try:
        answer = registries.request("POST", url, name)
    except RegistryUnreachable:
        raise
    except RegistryError:  # a login may write here, and not read there
        return False
    return answer.status_code == 201  # 202: an upload was begun instead, which the registry forgets after some days


def push_blob(
    registries: Registries, name: str, digest: str, size: int, content: Path | bytes, progress: Progress = silent
) -> None:
    """Push a blob of any size into an image's repository.

    Parameters
    ----------
    registries : Registries
        By which it goes.
    name : str
        The image that it is to be part of.
    digest : str
        What it is called.
    size : int
        How many bytes it has.
    content : Path or bytes
        The file that holds it, or itself.
    progress : callable
        Is told how many bytes it went forward; less than none where it has to begin again.

    Raises
    ------
    RegistryError
        If the registry does not take it.
    """
    with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as source:
        Upload(registries, name, digest, size, source, progress).run()


def push_manifest(registries: Registries, name: str, reference: str, media_type: str, body: bytes) -> bool:
    """Push a manifest under a tag or its digest; tell whether the registry keeps track of what it refers to.

    Raises
    ------
    RegistryError
        If the registry does not take it.
    """
    place, tries = Reference.parse(name), Tries()
    while True:
        try:
            answer = registries.request(
                "PUT",
                place.url(f"manifests/{reference}"),
                name,
                content=body,
                headers={"Content-Type": media_type},
            )
            if not answer.is_success:
                raise refused_write(answer, place, name)
        except RegistryUnreachable as error:
            tries.again(error)
            continue
        said = answer.headers.get("Docker-Content-Digest", "")
        if DIGEST.fullmatch(said) and said != digest_of(body):
            raise RegistryError(f"{place.host} made {said} of {digest_of(body)}", where=name)
        return "OCI-Subject" in answer.headers


def standing(registries: Registries, name: str, reference: str) -> str | None:
    """Return the digest that a tag or a digest of an image's repository stands for now; None if it is not there.

    Raises
    ------
    RegistryError
        If the registry does not tell.
    """
    place = Reference.parse(name)
    url = place.url(f"manifests/{reference}")
    answer = registries.request("HEAD", url, name, headers={"Accept": ", ".join(MANIFESTS)}, writing=True)
    if answer.status_code >= 500 or answer.status_code == 429:
        raise refused_write(answer, place, name)
    said = str(answer.headers.get("Docker-Content-Digest", ""))
    if answer.status_code != 200 or DIGEST.fullmatch(said):
        return said if answer.status_code == 200 else None
    found = registries.raw_manifest(name, reference)
    return None if found is None else digest_of(found[1])
