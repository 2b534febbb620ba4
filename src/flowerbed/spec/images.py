"""Where Flower's own images come from: a mirror, other repositories, and what exactly they hold."""

from __future__ import annotations

from enum import StrEnum

from flowerbed.spec.kubernetes_values import Digest, Registry, Repository
from flowerbed.spec.section import Section


class ImagePolicy(StrEnum):
    """Which images may be used."""

    ANY = "Any"
    PINNED = "Pinned"


class Repositories(Section):
    """Repositories instead of Flower's own."""

    superlink: Repository | None = None
    """Instead of flwr/superlink."""

    supernode: Repository | None = None
    """Instead of flwr/supernode; only layout: Quickstart uses it."""


class Digests(Section):
    """What Flower's images hold; a digest belongs to one exact release."""

    superlink: Digest | None = None
    """The SuperLink's image."""

    supernode: Digest | None = None
    """The SuperNode's image; only layout: Quickstart uses it."""


class Images(Section):
    """Where Flower's own images come from. Images that are named in full elsewhere are taken as they are."""

    registry: Registry | None = None
    """A registry, perhaps with a path, instead of the container runtime's default one."""

    repositories: Repositories = Repositories()
    """Repositories instead of Flower's own."""

    digests: Digests = Digests()
    """Digests, beside the tag with the exact release."""
