"""What a federation needs in a registry of its own, and what its file then says. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from flowerbed.errors import UsageError
from flowerbed.flower.releases import Row
from flowerbed.kubernetes.manifests import images
from flowerbed.registry.reference import Reference
from flowerbed.spec.finding import Path
from flowerbed.spec.images import Digests
from flowerbed.spec.kubernetes_values import Registry
from flowerbed.spec.model import API_VERSION, KIND, Federation, FederationSpec, Layout

SUPERLINK: Path = (*images.OF_FLOWER, "superlink")
SUPERNODE: Path = (*images.OF_FLOWER, "supernode")
BASE: Path = ()
"""The field of the image that apps' own are built on: no field names it."""


@dataclass(frozen=True)
class Wanted:
    """One image to copy.

    Parameters
    ----------
    field : tuple
        The field of the federation file that names it, or gives it its digest.
    source, target : str
        Where it is, and what the copy is called.
    """

    field: Path
    source: str
    target: str


def registry(text: str, option: str) -> str:
    """Return a registry as it was typed, perhaps with a path.

    Raises
    ------
    UsageError
        If it is none.
    """
    try:
        return str(TypeAdapter(Registry).validate_python(text))
    except ValidationError as error:
        said = error.errors()[0]
        raise UsageError(said["msg"], where=option, hint=(said.get("ctx") or {}).get("hint") or None) from None


def of_any_federation() -> Federation:
    """Return what stands for a federation where there is no file: all settings as they are by default."""
    spec = {"supernodes": [{"name": "supernode"}]}
    return Federation.model_validate(
        {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": "any"}, "spec": spec}
    )


def unpinned(federation: Federation) -> Federation:
    """Return the same without the digests of Flower's images: they belong to one exact release."""
    return federation.model_copy(update={"spec": _at(federation.spec, federation.spec.images.registry, bare=True)})


def wanted(
    federation: Federation, row: Row, to: str, origin: str | None = None, locked: Mapping[str, str] | None = None
) -> list[Wanted]:
    """Return the images to copy: Flower's for a release, the proxy's, and none of the app.

    Parameters
    ----------
    federation : Federation
        What the file says.
    row : Row
        The Flower release.
    to : str
        The registry to copy to, perhaps with a path.
    origin : str or None
        The registry to copy from. Without it, where the file has images from; where that is `to` already, as after the
        last release was mirrored, the default one.
    locked : mapping of str to str or None
        What the lock says, name → digest: that is then copied, whatever the name stands for now.

    Raises
    ------
    UsageError
        If they would be copied onto themselves.
    """
    spec = federation.spec
    given = spec.images.registry
    before = _at(spec, origin or (None if given == to else given))
    after = _at(spec, to, bare=True)

    def follows(of: Callable[[FederationSpec], str]) -> tuple[str, str, str]:
        return of(spec), of(before), of(after)

    def in_full(name: str) -> tuple[str, str, str]:
        return name, *_in_full(name, to, origin)

    found: list[tuple[Path, tuple[str, str, str]]] = []
    if spec.superlink.image:
        found.append((images.SUPERLINK, in_full(spec.superlink.image)))
    else:
        found.append((SUPERLINK, follows(lambda one: images.superlink(one, row))))
    if spec.layout is Layout.QUICKSTART:
        found.append((SUPERNODE, follows(lambda one: images.supernode(one, row))))
    found.append((BASE, follows(lambda one: images.superexec(one, row))))
    if spec.control_closed:
        found.append((images.PROXY, in_full(spec.images.proxy) if spec.images.proxy else follows(images.proxy)))
    for _, (_, source, target) in found:
        one, other = Reference.parse(source), Reference.parse(target)
        if (one.host, one.repository) == (other.host, other.repository):
            raise UsageError(f"{source} comes from there", where="--to", hint="Name a registry to copy it to.")
    digests = locked or {}
    return [
        Wanted(field, source if images.is_pinned(source) else _with(source, digests.get(name)), target)
        for field, (name, source, target) in found
    ]


def fragment(federation: Federation, to: str, copies: Sequence[tuple[Wanted, str]]) -> dict[str, Any]:
    """Return what goes into ``spec`` of the file, for a federation to take the copies.

    Parameters
    ----------
    federation : Federation
        What the file says.
    to : str
        The registry that they were copied to.
    copies : sequence of (Wanted, str)
        Each with its digest.
    """
    section: dict[str, Any] = {"registry": to}
    repositories = federation.spec.images.repositories.model_dump(mode="json", by_alias=True, exclude_none=True)
    if repositories:
        section["repositories"] = repositories
    said: dict[str, Any] = {"images": section}
    for one, digest in copies:
        pinned = _with(_undigested(one.target), digest)
        if one.field == images.SUPERLINK:
            said["superlink"] = {"image": pinned}
        elif one.field == images.PROXY:
            section["proxy"] = pinned
        elif one.field != BASE:
            section.setdefault("digests", {})[str(one.field[-1])] = digest
    return said


def _at(spec: FederationSpec, place: str | None, *, bare: bool = False) -> FederationSpec:
    changes: dict[str, Any] = {"registry": place, **({"digests": Digests()} if bare else {})}
    return spec.model_copy(update={"images": spec.images.model_copy(update=changes)})


def _in_full(name: str, to: str, origin: str | None) -> tuple[str, str]:
    """Return where an image that the file names in full is, and what its copy is called: it may be that copy."""
    if name.startswith(f"{to}/"):
        rest = name.removeprefix(f"{to}/")
        return (f"{origin}/{rest}" if origin else rest), (_undigested(name) if _has_tag(name) else name)
    place = Reference.parse(name)
    tag = f":{place.tag}" if place.tag else f"@{place.digest}"
    return name, f"{to}/{place.repository}{tag}"


def _undigested(name: str) -> str:
    """Return an image's name without its digest."""
    return name.partition("@")[0]


def _has_tag(name: str) -> bool:
    return Reference.parse(name).tag is not None


def _with(name: str, digest: str | None) -> str:
    return f"{name}@{digest}" if digest else name
