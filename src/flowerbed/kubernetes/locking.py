"""The images of a federation in its lock: which names have to be asked for, and the lock that comes of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from flowerbed.flower.releases import Row
from flowerbed.kubernetes.manifests import images
from flowerbed.spec.lock import Lock
from flowerbed.spec.model import Federation


def names(federation: Federation, row: Row) -> list[str]:
    """Return the images that are used, each once; those with a digest of their own among them."""
    return list(dict.fromkeys(image for _, image in images.used(federation.spec, row)))


def locked(before: Lock | None, row: Row, digests: Mapping[str, str]) -> Lock:
    """Return a lock with exactly these images.

    Parameters
    ----------
    before : Lock or None
        The lock that there is. What it says of this machine's environment is kept while the release stays.
    row : Row
        The Flower release.
    digests : mapping of str to str
        Name → digest; names with a digest of their own need no lock.
    """
    release = str(row.release)
    unlocked = {name: digest for name, digest in digests.items() if not images.is_pinned(name)}
    if before is not None and before.flower == release:
        return replace(before, images=unlocked)
    return Lock(release, images=unlocked)
