"""Which images are used, and what keeps them from being used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from flowerbed.flower.releases import Row
from flowerbed.spec.finding import Finding, Path
from flowerbed.spec.images import ImagePolicy
from flowerbed.spec.model import Federation, FederationSpec, Layout

NO_IMAGE = Finding(
    ("spec", "app", "image"),
    "is needed on Kubernetes",
    "it names an image with the app's dependencies, built on flwr/superexec",
)


def superlink(spec: FederationSpec, row: Row) -> str:
    """Return the SuperLink's image."""
    return spec.superlink.image or _of_flower(spec, "superlink", row)


def supernode(spec: FederationSpec, row: Row) -> str:
    """Return the image of SuperNodes that have one of their own."""
    return _of_flower(spec, "supernode", row)


def image_missing(federation: Federation) -> list[Finding]:
    """Return what keeps a federation from being rendered: Kubernetes runs images."""
    return [NO_IMAGE] if federation.spec.app.image is None else []


def image_problems(federation: Federation, row: Row) -> list[Finding]:
    """Return what keeps a federation's images from being used: one is missing, or the file's own policy refuses it."""
    refused = _unpinned(federation.spec, row) if federation.spec.security.images is ImagePolicy.PINNED else ()
    return [*image_missing(federation), *refused]


def is_pinned(image: str) -> bool:
    """Tell whether an image is named by what it holds."""
    return "@sha256:" in image


def used(spec: FederationSpec, row: Row) -> Iterator[tuple[Path, str]]:
    """Yield each image that is used, after the field that can give it a digest."""
    if spec.app.image is not None:
        yield ("spec", "app", "image"), spec.app.image
    of_superlink = ("superlink", "image") if spec.superlink.image else ("images", "digests", "superlink")
    yield ("spec", *of_superlink), superlink(spec, row)
    if spec.layout is Layout.QUICKSTART:
        yield ("spec", "images", "digests", "supernode"), supernode(spec, row)


def _unpinned(spec: FederationSpec, row: Row) -> Iterator[Finding]:
    for path, image in used(spec, row):
        if is_pinned(image):
            continue
        if path[-1] == "image":
            message, hint = f"{image} has no digest", f'name it by what it holds: "{image}@sha256:…"'
        else:
            message, hint = f"is missing, and {image} has no digest", f"{path[-1]}: sha256:…"
        yield Finding(path, f"{message}; spec.security.images is Pinned", hint)


def _of_flower(spec: FederationSpec, program: Literal["superlink", "supernode"], row: Row) -> str:
    repository = getattr(spec.images.repositories, program) or f"flwr/{program}"
    digest = getattr(spec.images.digests, program)
    place = f"{spec.images.registry}/{repository}" if spec.images.registry else repository
    return f"{place}:{row.release}{f'@{digest}' if digest else ''}"
