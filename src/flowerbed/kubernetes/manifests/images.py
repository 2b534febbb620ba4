"""Which images are used, and what keeps them from being used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from flowerbed.flower.releases import Row
from flowerbed.spec.finding import Finding, Path
from flowerbed.spec.images import ImagePolicy
from flowerbed.spec.model import Federation, FederationSpec, Layout

APP: Path = ("spec", "app", "image")
SUPERLINK: Path = ("spec", "superlink", "image")
PROXY: Path = ("spec", "images", "proxy")
OF_FLOWER: Path = ("spec", "images", "digests")

NO_IMAGE = Finding(
    APP,
    "is needed on Kubernetes",
    "it names an image with the app's dependencies, built on flwr/superexec",
)


def superlink(spec: FederationSpec, row: Row) -> str:
    """Return the SuperLink's image."""
    return spec.superlink.image or _of_flower(spec, "superlink", row)


PROXY_REPOSITORY = "nginxinc/nginx-unprivileged"
PROXY_TAG = "1.28-alpine"
"""nginx's own image for users without privileges, of the stable branch: nginx, its modules, and busybox."""


def proxy(spec: FederationSpec) -> str:
    """Return the image of the proxy before the SuperLink."""
    return spec.images.proxy or f"{_at_registry(spec, PROXY_REPOSITORY)}:{PROXY_TAG}"


def supernode(spec: FederationSpec, row: Row) -> str:
    """Return the image of SuperNodes that have one of their own."""
    return _of_flower(spec, "supernode", row)


def superexec(spec: FederationSpec, row: Row) -> str:
    """Return the image that apps' own are built on; no federation uses it as it is."""
    return f"{_at_registry(spec, 'flwr/superexec')}:{row.release}"


def pinned(federation: Federation, row: Row, locked: Mapping[str, str]) -> Federation:
    """Return a federation whose images have the digests that a lock has for their names.

    Parameters
    ----------
    federation : Federation
        What the file says.
    row : Row
        The Flower release.
    locked : mapping of str to str
        Name → digest.
    """
    spec = federation.spec
    digests = {path: locked[image] for path, image in used(spec, row) if image in locked}
    if not digests:
        return federation
    changes: dict[str, object] = {}
    if digest := digests.get(APP):
        changes["app"] = spec.app.model_copy(update={"image": f"{spec.app.image}@{digest}"})
    if digest := digests.get(SUPERLINK):
        changes["superlink"] = spec.superlink.model_copy(update={"image": f"{spec.superlink.image}@{digest}"})
    images = {}
    if digest := digests.get(PROXY):
        images["proxy"] = f"{proxy(spec)}@{digest}"
    of_flower = {str(path[-1]): digest for path, digest in digests.items() if path[:-1] == OF_FLOWER}
    if of_flower or images:
        known = spec.images.digests.model_copy(update=of_flower)
        changes["images"] = spec.images.model_copy(update={**images, "digests": known})
    return federation.model_copy(update={"spec": spec.model_copy(update=changes)})


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
        yield APP, spec.app.image
    yield SUPERLINK if spec.superlink.image else (*OF_FLOWER, "superlink"), superlink(spec, row)
    if spec.control_closed:
        yield PROXY, proxy(spec)
    if spec.layout is Layout.QUICKSTART:
        yield (*OF_FLOWER, "supernode"), supernode(spec, row)


def _unpinned(spec: FederationSpec, row: Row) -> Iterator[Finding]:
    for path, image in used(spec, row):
        if is_pinned(image):
            continue
        if path[-1] in ("image", "proxy"):
            message, hint = (
                f"{image} has no digest",
                f'name it by what it holds: "{image}@sha256:…", or `flowerbed lock`',
            )
        else:
            message, hint = f"is missing, and {image} has no digest", f"{path[-1]}: sha256:…, or `flowerbed lock`"
        yield Finding(path, f"{message}; spec.security.images is Pinned", hint)


def _of_flower(spec: FederationSpec, program: Literal["superlink", "supernode"], row: Row) -> str:
    repository = getattr(spec.images.repositories, program) or f"flwr/{program}"
    digest = getattr(spec.images.digests, program)
    return f"{_at_registry(spec, repository)}:{row.release}{f'@{digest}' if digest else ''}"


def _at_registry(spec: FederationSpec, repository: str) -> str:
    return f"{spec.images.registry}/{repository}" if spec.images.registry else repository
