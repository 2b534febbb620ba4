"""A registry with small bases, and an app to bake; what is said of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from flowerbed.image.layers import ZSTD, opened
from flowerbed.registry.client import Registries
from image.made import FOREIGN, distribution, push_base, system

Say = Callable[..., tuple[int, str]]

RELEASE = "1.42.0"
PYPROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "tiny"
version = "1.0.0"
license = "Apache-2.0"
description = "Trains nothing."
dependencies = ["flwr[simulation]>=1.22", "tqdm==4.66.5", "iterators"]
[tool.flwr.app]
publisher = "tests"
[tool.flwr.app.components]
serverapp = "tiny.server:app"
clientapp = "tiny.client:app"
"""
BASE = {
    **system(),
    **distribution("flwr", RELEASE, "flwr/__init__.py"),
    **distribution("tqdm", "4.0.0", "tqdm/__init__.py", "tqdm/of_old.py"),
    **distribution("iterators", "0.0.2", "iterators/__init__.py"),
}


class Place:
    """A registry, and an app whose federation file names it."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder = folder
        self.address = address
        self.app = write_app(folder / "app", address)

    def base(self, repository: str = "flwr/superexec", tag: str = RELEASE, **more: Any) -> str:
        files = more.pop("files", BASE)
        return push_base(f"{self.address}/{repository}:{tag}", self.folder, files, **more)

    def manifest(self, repository: str, reference: str) -> dict[str, Any]:
        with closing(Registries()) as registries:
            found = registries.manifest(f"{self.address}/{repository}:x", reference)
        assert found is not None
        return found

    def has(self, repository: str) -> bool:
        """Tell whether there is an image at all."""
        with closing(Registries()) as registries:
            return registries.manifest(f"{self.address}/{repository}:1", "1") is not None

    def layer(self, repository: str, descriptor: dict[str, Any]) -> dict[str, bytes]:
        with closing(Registries()) as registries:
            content = registries.blob(f"{self.address}/{repository}:x", descriptor["digest"])
        assert content is not None
        (self.folder / "layer").write_bytes(content)
        with opened(self.folder / "layer", ZSTD) as archive:
            return {
                member.name: (archive.extractfile(member).read() if member.isfile() else b"/")  # type: ignore[union-attr]
                for member in archive
            }


def write_app(folder: Path, address: str, *, pyproject: str = PYPROJECT, more: str = "") -> Path:
    (folder / "tiny").mkdir(parents=True)
    (folder / "pyproject.toml").write_text(pyproject)
    for name in ("__init__", "server", "client"):
        (folder / "tiny" / f"{name}.py").write_text(f"# {name}\n")
    (folder / "federation.yaml").write_text(
        "apiVersion: flowerbed.dev/v1alpha1\n"
        "kind: Federation\n"
        "metadata: {name: demo}\n"
        "spec:\n"
        f'  flower: "{RELEASE}"\n'
        f'  app: {{image: "{address}/team/tiny:1"{more}}}\n'
        f'  images: {{registry: "{address}"}}\n'
        "  supernodes: [{name: site}]\n"
    )
    return folder


def image_of(said: str) -> dict[str, Any]:
    [found] = [one for line in said.splitlines() if line[:1] == "{" and (one := json.loads(line))["type"] == "built"]
    assert isinstance(found, dict)
    return found


def build(say: Say, place: Place, *more: str, app: Path | None = None) -> dict[str, Any]:
    status, said = say("build", str(app or place.app), "--platform", f"linux/{FOREIGN}", "--json", *more)
    assert status == 0, said
    return image_of(said)
