"""Giving a built image away: to a registry, with what is said of it, or into a file."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flowerbed.environments.cache import Progress
from flowerbed.errors import ImageFailed
from flowerbed.image import bases, bill, provenance
from flowerbed.image.building import Built, finish, root_document
from flowerbed.image.manifest import Document
from flowerbed.image.provenance import Revision
from flowerbed.image.recipe import Recipe
from flowerbed.registry.attaching import attach
from flowerbed.registry.client import Registries
from flowerbed.registry.images import Blob, push_image
from flowerbed.registry.pushing import has_blob, mount_blob
from flowerbed.registry.reference import Reference

_GIT_SECONDS = 30.0


@dataclass(frozen=True)
class Shared:
    """An image that is in a registry now.

    Parameters
    ----------
    name, digest : str
        What it is called there, and what it is.
    size : int
        Bytes that the registry did not have.
    changed : bool
        Whether the name stood for something else before.
    """

    name: str
    digest: str
    size: int
    changed: bool


def push(registries: Registries, name: str, built: Sequence[Built], progress: Progress) -> Shared:
    """Push an image: its layers, then, when it has been tried, its manifests, and its tag last.

    Raises
    ------
    AppError, ImageFailed
        As `flowerbed.image.building.finish`; the tag is as it was.
    RegistryError
        If the registry does not take it; the tag is as it was.
    """
    blobs: list[Blob] = []
    for one in built:
        blobs += [Blob(digest, file.stat().st_size, file) for digest, file in one.blobs.items()]
        blobs.append(Blob.of(one.config.body))
        blobs += _of_the_base(registries, name, one, progress)
    root = root_document(built)
    manifests = [one.document for one in built if one.document != root]
    count = bases.counting(f"pushing {name}", sum(blob.size for blob in blobs), progress)
    pushed = push_image(registries, name, blobs, [*manifests, root], count, lambda: finish(built))
    return Shared(name, pushed.digest, pushed.size, pushed.changed)


def describe(registries: Registries, name: str, recipe: Recipe, built: Sequence[Built]) -> list[str]:
    """Attach to each image its bill of materials and where it comes from; return the digests of both.

    Raises
    ------
    RegistryError
        If the registry does not take them.
    """
    repository = Reference.parse(name)
    place = f"{repository.host}/{repository.repository}"
    revision = git_revision(recipe.app)
    attached = []
    for one in built:
        platform = str(one.base.platform)
        contents = (
            (
                bill.MEDIA_TYPE,
                bill.bill(
                    one.base.holds,
                    one.packages,
                    name=recipe.says.name,
                    version=recipe.says.version,
                    digest=one.document.digest,
                    base_name=one.base.name,
                    base_digest=one.base.manifest_digest,
                ),
            ),
            (
                provenance.MEDIA_TYPE,
                provenance.statement(
                    image=place,
                    digest=one.document.digest,
                    app=str(recipe.says),
                    app_digest=one.app_digest,
                    base=one.base.name,
                    base_digest=one.base.manifest_digest,
                    lock_digest=recipe.lock.digest,
                    added=one.packages,
                    revision=revision,
                    platform=platform,
                ),
            ),
        )
        for media_type, content in contents:
            body = json.dumps(content, sort_keys=True, indent=1).encode()
            found = attach(registries, name, one.document.descriptor, media_type, [(media_type, body)], {})
            attached.append(str(found["digest"]))
    return attached


def git_revision(app: Path) -> Revision | None:
    """Return what Git says of an app's folder; None where there is no Git, or no commit yet."""

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(app), *arguments],
                capture_output=True,
                text=True,
                check=False,
                timeout=_GIT_SECONDS,
                stdin=subprocess.DEVNULL,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "--verify", "HEAD")
    changed = git("status", "--porcelain", "--", ".")
    return None if not commit or changed is None else Revision(commit, clean=not changed)


def save(registries: Registries, name: str, built: Sequence[Built], to: Path, progress: Progress) -> None:
    """Write an image into a file, an OCI layout as a tar archive, that `docker load` and `skopeo copy` take.

    Raises
    ------
    ImageFailed
        If the file cannot be written.
    """
    root = root_document(built)
    files: dict[str, bytes | Path] = {}
    for one in built:
        files |= dict(one.blobs)
        files |= {one.config.digest: one.config.body, one.document.digest: one.document.body}
        for layer, (file, _) in zip(
            one.base.manifest["layers"],
            bases.fetch(registries, one.base.name, one.base.manifest, progress),
            strict=True,
        ):
            files[layer["digest"]] = file
    files[root.digest] = root.body
    beside = to.with_name(f".{to.name}.writing")
    try:
        with tarfile.open(beside, "w", format=tarfile.PAX_FORMAT) as archive:
            _add(archive, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
            _add(archive, "index.json", _layout(root, name))
            for digest, content in sorted(files.items()):
                _add(archive, f"blobs/{digest.replace(':', '/')}", content)
        beside.rename(to)
    except OSError as error:
        raise ImageFailed(f"cannot be written: {error.strerror or error}", where=str(to)) from error
    finally:
        beside.unlink(missing_ok=True)


def _layout(root: Document, name: str) -> bytes:
    found = Reference.parse(name)
    tag = found.tag or "latest"
    annotations = {
        "org.opencontainers.image.ref.name": tag,
        "io.containerd.image.name": f"{found.host}/{found.repository}:{tag}",
    }
    content: dict[str, Any] = {"schemaVersion": 2, "manifests": [{**root.descriptor, "annotations": annotations}]}
    return json.dumps(content, sort_keys=True).encode()


def _add(archive: tarfile.TarFile, path: str, content: bytes | Path) -> None:
    info = tarfile.TarInfo(path)
    info.mode = 0o644
    if isinstance(content, Path):
        info.size = content.stat().st_size
        with content.open("rb") as file:
            archive.addfile(info, file)
    else:
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))


def _of_the_base(registries: Registries, name: str, one: Built, progress: Progress) -> list[Blob]:
    """Return what of the base has to be pushed: what is not there, and the registry cannot take from beside."""
    source, target = Reference.parse(one.base.name), Reference.parse(name)
    missing = []
    for layer in one.base.manifest["layers"]:
        digest, size = str(layer["digest"]), int(layer["size"])
        if has_blob(registries, name, digest):
            continue
        if source.host == target.host and mount_blob(registries, name, digest, source.repository):
            continue
        kept = {"layers": [layer]}
        [(file, _)] = bases.fetch(registries, one.base.name, kept, progress)
        missing.append(Blob(digest, size, file))
    return missing
