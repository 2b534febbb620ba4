"""Where Flower's own images come from: a mirror, other repositories, and what exactly they hold."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from flowerbed.spec.kubernetes_values import Digest, ImageReference, Registry, Repository
from flowerbed.spec.section import Section


class ImagePolicy(StrEnum):
    """Which images may be used."""

    ANY = "Any"
    PINNED = "Pinned"


class Signatures(Section):
    """By whom images have to be signed, with cosign."""

    keys: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1, strict=False)]
    """Files with public keys, such as cosign.pub, relative to this file; the signature by one of them is enough."""


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
    """Where Flower's own images come from, and nginx's. Images that are named in full are taken as they are."""

    registry: Registry | None = None
    """A registry, perhaps with a path, instead of the container runtime's default one."""

    proxy: ImageReference | None = None
    """The image of the proxy before the SuperLink: nginx from 1.22 on, which can run as anybody. Default:
    nginxinc/nginx-unprivileged:1.28-alpine."""

    repositories: Repositories = Repositories()
    """Repositories instead of Flower's own."""

    digests: Digests = Digests()
    """Digests, beside the tag with the exact release."""
