"""`flowerbed build --engine buildah`: a real engine, on the base of a real Flower release, for a real registry."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cluster.images import flower_images
from cluster.packages import find
from cluster.registry import add_images, serving
from flowerbed.image.layers import opened
from flowerbed.registry.client import Registries
from flowerbed.spec.lock import read_lock
from image.beds import PYPROJECT

Say = Callable[..., tuple[int, str]]

pytestmark = [pytest.mark.usefixtures("cluster_here"), pytest.mark.timeout(300)]

RELEASE = "1.22.0"

# All that Buildah leaves goes with the test: what it keeps in /var/lib lies in a folder of the test's, and what it
# mounts and starts is in namespaces that end with it.
BUILDAH = """\
#!/bin/sh
exec unshare --mount --pid --fork --kill-child=KILL --mount-proc /bin/sh -c '
  mount -t tmpfs tmpfs /var/lib && mkdir /var/lib/containers &&
  mount --bind "$HERE/kept" /var/lib/containers && exec "$BUILDAH" "$@"' sh "$@"
"""


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Give a registry with Flower's images, and a Buildah that leaves nothing behind."""
    programs = tmp_path / "programs"
    for name in ("kept", "storage", "programs"):
        (tmp_path / name).mkdir()
    (programs / "buildah").write_text(BUILDAH)
    (programs / "buildah").chmod(0o755)
    (tmp_path / "storage.conf").write_text(
        f'[storage]\ngraphroot = "{tmp_path}/storage/graph"\nrunroot = "{tmp_path}/storage/run"\n'
    )
    (tmp_path / "containers.conf").write_text(f'[network]\nnetwork_config_dir = "{tmp_path}/networks"\n')
    settings = {
        "HERE": str(tmp_path),
        "BUILDAH": str(find("buildah")),
        "PATH": f"{programs}:{os.environ['PATH']}:/usr/sbin:/sbin",
        "BUILDAH_ISOLATION": "chroot",
        "STORAGE_DRIVER": "overlay",
        "CONTAINERS_STORAGE_CONF": str(tmp_path / "storage.conf"),
        "CONTAINERS_CONF": str(tmp_path / "containers.conf"),
        "TMPDIR": str(tmp_path / "storage"),
        "DOCKER_CONFIG": str(tmp_path),
        "FLOWERBED_CACHE_DIR": str(tmp_path / "cache"),
    }
    (tmp_path / "config.json").write_text("{}")  # Buildah wants one where DOCKER_CONFIG says
    flower = flower_images(RELEASE)  # in the cache that all tests share
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    if subprocess.run([programs / "buildah", "from", "scratch"], capture_output=True, check=False).returncode:
        monkeypatch.setenv("STORAGE_DRIVER", "vfs")  # slower, and works where an overlay cannot lie
    add_images(flower, tmp_path / "images")
    with serving(tmp_path / "images", tmp_path) as address:
        yield address
    for name in ("storage", "cache", "kept"):
        shutil.rmtree(tmp_path / name)  # all of it large, and pytest would keep it


def read(address: str, layer: Mapping[str, Any], folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return the files of a layer, each with who owns it."""
    with closing(Registries()) as registries:
        content = registries.blob(f"{address}/team/tiny:1", layer["digest"])
    assert content is not None
    (folder / "layer").write_bytes(content)
    with opened(folder / "layer", layer["mediaType"]) as archive:
        return {
            member.name.strip("/"): (member.uid, archive.extractfile(member).read() if member.isfile() else b"")  # type: ignore[union-attr]
            for member in archive
        }


def test_an_engine_builds_the_recipe_and_leaves_no_trace_of_how(address: str, tmp_path: Path, say: Say) -> None:
    app = tmp_path / "app"
    (app / "tiny").mkdir(parents=True)
    (app / "pyproject.toml").write_text(PYPROJECT.replace('"iterators"', '"docopt==0.6.2"'))
    for name in ("__init__", "server", "client"):
        (app / "tiny" / f"{name}.py").write_text(f"# {name}\n")
    (app / ".env").write_text("PASSWORD=a\n")
    image = f"{address}/team/tiny:1"
    (app / "federation.yaml").write_text(
        "apiVersion: flowerbed.dev/v1alpha1\nkind: Federation\nmetadata: {name: demo}\n"
        f'spec:\n  flower: "{RELEASE}"\n  app: {{image: "{image}"}}\n  images: {{registry: "{address}"}}\n'
        "  supernodes: [{name: site}]\n"
    )
    status, said = say("build", str(app), "--engine", "buildah", "--push", "--json")
    assert status == 0, said
    [made] = [one for line in said.splitlines() if line[:1] == "{" and (one := json.loads(line))["type"] == "built"]
    assert (made["pushed"], made["tried"], made["packages"]) == (True, False, ["docopt==0.6.2", "tqdm==4.66.5"])
    lock = read_lock((app / "federation.lock").read_text(), "federation.lock")
    assert lock.images == {image: made["digest"]}

    with closing(Registries()) as registries:
        assert registries.digest(image) == made["digest"]
        manifest = registries.manifest(image, made["digest"])
        base = registries.manifest(f"{address}/flwr/superexec:{RELEASE}", RELEASE)
        assert manifest is not None
        assert base is not None
        config = json.loads(registries.blob(image, manifest["config"]["digest"]) or b"")
        attached = {one["artifactType"]: one for one in registries.referrers(image, made["digest"])}
        bill = registries.manifest(image, attached["application/vnd.cyclonedx+json"]["digest"])
        assert bill is not None
        components = json.loads(registries.blob(image, bill["layers"][0]["digest"]) or b"")["components"]
    assert (config["config"]["User"], config["config"]["Entrypoint"]) == ("49999:49999", ["flower-superexec"])
    assert config["config"]["Labels"]["org.opencontainers.image.base.digest"] == made["base_digest"]
    assert {"pkg:pypi/tqdm@4.66.5", f"pkg:pypi/flwr@{RELEASE}"} <= {one["purl"] for one in components}
    assert "application/vnd.in-toto+json" in attached

    new = manifest["layers"][len(base["layers"]) :]
    layers = [read(address, layer, tmp_path) for layer in new]
    files = {path: found for layer in layers for path, found in layer.items()}
    assert any(path.endswith("site-packages/tqdm/std.py") for path in files)
    assert any(path.endswith("site-packages/docopt.py") for path in files)  # it is there as a source archive alone
    assert {path: uid for path, (uid, _) in layers[-1].items() if path.startswith("app/")} == {
        "app/pyproject.toml": 49999, "app/tiny": 49999, "app/tiny/__init__.py": 49999,
        "app/tiny/client.py": 49999, "app/tiny/server.py": 49999,
    }  # fmt: skip
    traces = ("wheels", "etc/pip.conf", "run/secrets", ".cache/", "root/", "requirements.txt", ".env")
    assert [path for path in files if path.endswith(".whl") or any(trace in path for trace in traces)] == []
    # A secret would be a whole file, the certificates of this machine or pip's settings.
    assert [
        path for path, (_, content) in files.items() if b"-----BEGIN CERT" in content or b"[global]" in content
    ] == []
    written = json.dumps([manifest, config])
    assert "http" not in written.replace("https://flowerbed.dev", "")
