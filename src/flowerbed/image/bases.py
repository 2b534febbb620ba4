"""Getting to know a base image: from its name to what it holds, asked of the registry and read once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flowerbed.environments.cache import Progress, write_durably
from flowerbed.errors import ImageFailed
from flowerbed.image import base as reading
from flowerbed.image import store
from flowerbed.image.base import Base
from flowerbed.image.unpacking import files_of_interest, unpack
from flowerbed.registry.client import Registries
from flowerbed.registry.pulling import pull_blob

_WORTH_TELLING = 16 * 2**20  # bytes
_FORMAT = 2
"""Of a note of what a base holds; another one is written anew."""


@dataclass(frozen=True)
class Platform:
    """What a machine must be to run an image.

    Parameters
    ----------
    os, architecture : str
        As images name them: ``linux``, ``amd64``.
    variant : str
        Of the architecture, such as ``v7``; mostly empty.
    """

    os: str = "linux"
    architecture: str = "amd64"
    variant: str = ""

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Return what ``linux/arm64`` stands for."""
        os, _, rest = text.partition("/")
        architecture, _, variant = rest.partition("/")
        return cls(os, architecture, variant)

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    def as_dict(self) -> dict[str, str]:
        """Return it as an index has it."""
        return {name: value for name, value in vars(self).items() if value}


@dataclass(frozen=True)
class BaseImage:
    """A base image for one platform, in a registry.

    Parameters
    ----------
    name : str
        The image, with its tag if it was named by one.
    digest : str
        What the name stood for: of an index, where it is one of several platforms.
    manifest_digest : str
        The digest of the manifest for this platform.
    platform : Platform
        Which.
    manifest, config : dict
        What is written there.
    holds : Base
        What is in it.
    """

    name: str
    digest: str
    manifest_digest: str
    platform: Platform
    manifest: Mapping[str, Any]
    config: Mapping[str, Any]
    holds: Base

    def files(self, registries: Registries, progress: Progress) -> Path:
        """Return the folder with its files, which are unpacked once."""
        place = store.base_files(self.manifest_digest)
        with store.filling(place) as folder:
            if folder is not None:
                layers = fetch(registries, self.name, self.manifest, progress)
                progress(f"unpacking {self.name}")
                unpack(layers, folder)
        store.mark_used(place)
        return place


def find(registries: Registries, name: str, platforms: list[Platform], progress: Progress) -> list[BaseImage]:
    """Return a base image, for each platform.

    Raises
    ------
    RegistryError
        If the registry does not have it, or does not give it.
    ImageFailed
        If it is not there for a platform, or holds no Flower.
    """
    progress(f"asking for {name}")
    digest = registries.digest(name)
    document = _manifest(registries, name, digest)
    found = []
    for platform in platforms:
        chosen = digest if "layers" in document else _of(document, platform, name)
        manifest = document if chosen == digest else _manifest(registries, name, chosen)
        config = json.loads(_blob(registries, name, manifest["config"], progress).read_bytes())
        actual = Platform(config.get("os", "linux"), config.get("architecture", ""), config.get("variant", ""))
        if (actual.os, actual.architecture) != (platform.os, platform.architecture):
            raise ImageFailed(f"is for {actual}, not for {platform}", where=name)
        holds = _read(registries, name, chosen, manifest, progress)
        found.append(BaseImage(name, digest, chosen, platform, manifest, config, holds))
    return found


def fetch(registries: Registries, name: str, manifest: Mapping[str, Any], progress: Progress) -> list[tuple[Path, str]]:
    """Return the files of an image's layers, with their media types; they are pulled into the cache if need be."""
    return [(_blob(registries, name, layer, progress), layer["mediaType"]) for layer in manifest["layers"]]


def _manifest(registries: Registries, name: str, digest: str) -> dict[str, Any]:
    found = registries.raw_manifest(name, digest)
    document = json.loads(found[1]) if found is not None else None
    if not isinstance(document, dict) or not ("layers" in document or "manifests" in document):
        raise ImageFailed("is no image that can be built on", where=name)
    return document


def _of(index: Mapping[str, Any], platform: Platform, name: str) -> str:
    offered = [(Platform(**_told(one.get("platform") or {})), one["digest"]) for one in index["manifests"]]
    for known, digest in offered:
        same = (known.os, known.architecture) == (platform.os, platform.architecture)
        if same and platform.variant in ("", known.variant):
            return str(digest)
    names = ", ".join(sorted(str(known) for known, _ in offered if known.os != "unknown"))
    raise ImageFailed(f"is not there for {platform}; it is for {names}", where=name)


def _told(platform: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(platform.get(name, "")) for name in ("os", "architecture", "variant")}


def _read(registries: Registries, name: str, digest: str, manifest: Mapping[str, Any], progress: Progress) -> Base:
    note = store.base_note(digest)
    try:
        known = json.loads(note.read_text(encoding="utf-8"))
        if known["format"] == _FORMAT:
            store.mark_used(note)
            return Base.from_dict(known["base"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    layers = fetch(registries, name, manifest, progress)
    progress(f"reading {name}")
    base = reading.read(reading.gather(files_of_interest(layers)), name)
    note.parent.mkdir(parents=True, exist_ok=True)
    write_durably(note, json.dumps({"format": _FORMAT, "base": base.as_dict()}))
    return base


def _blob(registries: Registries, name: str, descriptor: Mapping[str, Any], progress: Progress) -> Path:
    place, size = store.blob(descriptor["digest"]), int(descriptor["size"])
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        pull_blob(registries, name, descriptor["digest"], size, place, counting(f"pulling {name}", size, progress))
    store.mark_used(place)
    return place


def counting(doing: str, size: int, progress: Progress) -> Callable[[int], None]:
    """Return what is told of steps in bytes, and tells of them in megabytes, ten times at most."""
    done, told = 0, 0

    def count(step: int) -> None:
        nonlocal done, told
        done += step
        if done - told >= max(size // 10, _WORTH_TELLING):
            told = done
            progress(f"{doing}: {done / 1e6:.0f} of {size / 1e6:.0f} MB")

    return count
