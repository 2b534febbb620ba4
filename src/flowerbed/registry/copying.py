"""Copying an image from one registry to another byte by byte, so that its digest stays the same."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path

from flowerbed.errors import RegistryError
from flowerbed.registry.client import Registries
from flowerbed.registry.descriptors import Manifest
from flowerbed.registry.images import Pushed, push_manifests, tag_unchanged
from flowerbed.registry.pulling import pull_blob
from flowerbed.registry.pushing import has_blob, mount_blob, push_blob, standing
from flowerbed.registry.reference import Reference

Copied = Callable[[int, int], None]
"""Is told how many bytes of how many are where they shall be."""

_MOST = 500
"""How many manifests an image may be made of: all platforms that there are, each with its attestation, and room."""


def _silent(_: int, __: int) -> None:
    pass


def gather(registries: Registries, source: str) -> list[Manifest]:
    """Return all manifests of an image: the image's own last, and what an index is made of before the index.

    Raises
    ------
    RegistryError
        If one is not there, may not be read, or is of a kind that is not known.
    """
    found: dict[str, Manifest] = {}

    def take(digest: str) -> None:
        got = registries.raw_manifest(source, digest)
        if got is None:
            raise RegistryError(f"{Reference.parse(source).host} does not have its part {digest}", where=source)
        manifest = Manifest(*got)
        for child in manifest.children(source):  # an index holds the digests of its parts, so there are no circles
            if child not in found:
                take(child)
        found[digest] = manifest
        if len(found) > _MOST:
            raise RegistryError(f"it is made of more than {_MOST} images", where=source)

    take(registries.digest(source))
    return list(found.values())


def copy_image(
    registries: Registries,
    source: str,
    target: str,
    folder: Path,
    progress: Copied = _silent,
    mounts: MutableMapping[str, str] | None = None,
) -> Pushed:
    """Copy an image with all its platforms; what is there already is not copied again.

    Parameters
    ----------
    registries : Registries
        By which it goes.
    source, target : str
        The image, and what the copy is to be called.
    folder : Path
        Where blobs lie on their way.
    progress : callable
        Is told of each step.
    mounts : mutable mapping of str to str or None
        Digests of blobs, and which repository of the target's registry has each, so that images that share layers get
        them once. The copy adds its own.

    Raises
    ------
    RegistryError
        If one of the registries does not do its part. Unless it says otherwise, the target's tag is as it was.
    """
    known = {} if mounts is None else mounts
    here, there = Reference.parse(source), Reference.parse(target)
    with tag_unchanged():
        if here.digest is not None and standing(registries, target, there.tag or here.digest) == here.digest:
            return Pushed(here.digest, 0, changed=False)  # known without the source, which may be out of reach by now
        manifests = gather(registries, source)
        root = manifests[-1]
        if standing(registries, target, there.tag or root.digest) == root.digest:
            _remember(known, manifests, there.repository, source)
            return Pushed(root.digest, 0, changed=False)
        missing = [one for one in manifests if standing(registries, target, one.digest) != one.digest]
        blobs = {digest: size for one in missing for digest, size in one.blobs(source).items()}
        if here.host == there.host:
            known = {**dict.fromkeys(blobs, here.repository), **known}
        size = _Copy(registries, source, target, folder, progress, sum(blobs.values())).run(blobs, known)
    push_manifests(registries, target, [*(one for one in missing if one is not root), root])
    if mounts is not None:
        _remember(mounts, manifests, there.repository, source)
    return Pushed(root.digest, size, changed=True)


def _remember(mounts: MutableMapping[str, str], manifests: list[Manifest], repository: str, source: str) -> None:
    for manifest in manifests:
        for digest in manifest.blobs(source):
            mounts.setdefault(digest, repository)


@dataclass
class _Copy:
    registries: Registries
    source: str
    target: str
    folder: Path
    progress: Copied
    total: int
    done: float = 0.0

    def run(self, blobs: dict[str, int], mounts: MutableMapping[str, str]) -> int:
        """Copy blobs, and return how many bytes were sent."""
        repository, sent = Reference.parse(self.target).repository, 0
        for digest, size in blobs.items():
            there = has_blob(self.registries, self.target, digest)
            other = mounts.get(digest, repository)
            if there or (other != repository and mount_blob(self.registries, self.target, digest, other)):
                self._step(size)
                continue
            file = self.folder / digest.replace(":", "-")
            try:
                pull_blob(self.registries, self.source, digest, size, file, self._half)
                push_blob(self.registries, self.target, digest, size, file, self._half)
            finally:
                file.unlink(missing_ok=True)
            sent += size
        return sent

    def _half(self, count: int) -> None:
        """Count a byte half when it was fetched, and half when it was given."""
        self._step(count / 2)

    def _step(self, count: float) -> None:
        self.done += count
        self.progress(int(self.done), self.total)
