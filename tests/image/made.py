"""Small bases that hold just what is looked at, for a machine that this one is not: nothing of them is ever run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from flowerbed.image import trying
from flowerbed.image.layers import Entry, Layer, write
from flowerbed.registry.client import Registries
from flowerbed.registry.descriptors import OCI_INDEX, OCI_MANIFEST, Manifest
from flowerbed.registry.images import Blob, push_image

FOREIGN = "arm64" if trying.here() == "amd64" else "amd64"
"""An architecture whose programs do not run here."""

SITE = "python/venv/lib/python3.11/site-packages"


def distribution(name: str, version: str, *files: str) -> dict[str, bytes]:
    """Return the files of an installed package."""
    info = f"{SITE}/{name}-{version}.dist-info"
    record = "".join(f"{path},,\n" for path in files)
    return {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\n".encode(),
        f"{info}/RECORD": record.encode(),
        **{f"{SITE}/{path}": b"" for path in files},
    }


def system(libc: str = "2.36-9") -> dict[str, bytes]:
    """Return what tells a system apart."""
    status = f"Package: libc6\nStatus: install ok installed\nArchitecture: all\nVersion: {libc}\n"
    return {"etc/os-release": b'ID=debian\nVERSION_ID="12"\n', "var/lib/dpkg/status": status.encode()}


def push_base(
    name: str,
    folder: Path,
    files: Mapping[str, bytes],
    *,
    architectures: tuple[str, ...] = (FOREIGN,),
    config: Mapping[str, object] | None = None,
) -> str:
    """Push a base of these files; return its digest."""
    place = folder / hashlib.sha256(name.encode()).hexdigest()
    layer = write([Entry(path, content) for path, content in files.items()], place, owner=(49999, 49999))
    blobs, manifests = [Blob(layer.digest, layer.size, place)], []
    for architecture in architectures:
        configuration = Blob.of(json.dumps(_config(layer, architecture, config or {})).encode())
        blobs.append(configuration)
        manifests.append(_manifest(layer, configuration))
    if len(manifests) > 1:
        platforms = [{"os": "linux", "architecture": one} for one in architectures]
        manifests.append(_index(manifests, platforms))
    with closing(Registries()) as registries:
        return push_image(registries, name, blobs, manifests).digest


def _config(layer: Layer, architecture: str, config: Mapping[str, object]) -> dict[str, object]:
    return {
        "architecture": architecture,
        "os": "linux",
        "created": "2026-01-02T03:04:05Z",
        "config": {"User": "app", "Env": ["PATH=/python/venv/bin:/bin"], "Entrypoint": ["flower-superexec"], **config},
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
        "history": [{"created_by": "test"}],
    }


def _manifest(layer: Layer, config: Blob) -> Manifest:
    content = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": config.digest,
            "size": config.size,
        },
        "layers": [layer.descriptor],
    }
    return Manifest(OCI_MANIFEST, json.dumps(content).encode())


def _index(manifests: list[Manifest], platforms: list[dict[str, str]]) -> Manifest:
    entries = [
        {"mediaType": OCI_MANIFEST, "digest": one.digest, "size": len(one.body), "platform": platform}
        for one, platform in zip(manifests, platforms, strict=True)
    ]
    return Manifest(OCI_INDEX, json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).encode())
