"""Giving whole images to a registry: blobs first, then manifests, and the tag last: it never names half of one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flowerbed.errors import RegistryError, RegistryUnreachable
from flowerbed.registry.client import Registries
from flowerbed.registry.descriptors import Manifest, digest_of
from flowerbed.registry.pulling import Progress, silent
from flowerbed.registry.pushing import has_blob, push_blob, push_manifest, standing
from flowerbed.registry.reference import Reference

GOES_ON = "The same command goes on where it stopped."


@dataclass(frozen=True)
class Blob:
    """A blob to push.

    Parameters
    ----------
    digest : str
        What it is called.
    size : int
        How many bytes it has.
    content : Path or bytes
        The file that holds it, or itself.
    """

    digest: str
    size: int
    content: Path | bytes

    @classmethod
    def of(cls, content: bytes) -> Blob:
        """Return a small one."""
        return cls(digest_of(content), len(content), content)


@dataclass(frozen=True)
class Pushed:
    """What came of it.

    Parameters
    ----------
    digest : str
        The image's.
    size : int
        How many bytes of blobs the registry did not have before.
    changed : bool
        Whether anything had to be pushed.
    """

    digest: str
    size: int
    changed: bool


def push_image(
    registries: Registries,
    name: str,
    blobs: Sequence[Blob],
    manifests: Sequence[Manifest],
    progress: Progress = silent,
    ready: Callable[[], None] = lambda: None,
) -> Pushed:
    """Push an image; what is there already is not pushed again.

    Parameters
    ----------
    registries : Registries
        By which it goes.
    name : str
        What it is to be called. Without a tag, its digest alone names it.
    blobs : sequence of Blob
        What it is made of.
    manifests : sequence of Manifest
        The image's own last; what an index is made of before the index.
    progress : callable
        Is told how many bytes of the blobs it went forward, those among them that are there already.
    ready : callable
        Is called when the blobs are there, which nobody can see yet; what it raises keeps the image from being named.

    Raises
    ------
    RegistryError
        If the registry does not take all of it. Unless it says otherwise, the tag is as it was.
    """
    root, size = manifests[-1], 0
    with tag_unchanged():
        if standing(registries, name, Reference.parse(name).tag or root.digest) == root.digest:
            progress(sum(blob.size for blob in blobs))
            ready()
            return Pushed(root.digest, 0, changed=False)
        for blob in blobs:
            if has_blob(registries, name, blob.digest):
                progress(blob.size)
            else:
                push_blob(registries, name, blob.digest, blob.size, blob.content, progress)
                size += blob.size
    ready()
    push_manifests(registries, name, manifests)
    return Pushed(root.digest, size, changed=True)


def push_manifests(registries: Registries, name: str, manifests: Sequence[Manifest]) -> None:
    """Push an image's manifests by their digests, and the last by its tag.

    Raises
    ------
    RegistryError
        If the registry does not take one. Unless it says otherwise, the tag is as it was.
    """
    *others, root = manifests
    with tag_unchanged():
        for one in others:
            push_manifest(registries, name, one.digest, one.media_type, one.body)
    try:
        with tag_unchanged():
            tag = Reference.parse(name).tag or root.digest
            push_manifest(registries, name, tag, root.media_type, root.body)
    except RegistryUnreachable as error:
        # It may have done it and broken off before it said so.
        hint = f"Whether the tag was changed is not known. {GOES_ON}"
        raise RegistryUnreachable(error.message, where=error.where, hint=hint) from error


@contextmanager
def tag_unchanged() -> Iterator[None]:
    """Let an error say that what was begun is not to be seen, and how to go on.

    Raises
    ------
    RegistryError
        The one that was raised, with that.
    """
    try:
        yield
    except RegistryError as error:
        hint = f"{error.hint} " if error.hint else ""
        raise type(error)(error.message, where=error.where, hint=f"{hint}The tag was not changed. {GOES_ON}") from error
