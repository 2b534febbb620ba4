"""`flowerbed build --engine`: real engines, on the base of a real Flower release, for a real registry.

Buildah has to be here; Podman and Docker are tried where they are.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cluster.images import flower_images
from cluster.packages import SEARCH_PATH, find
from cluster.registry import add_images, serving
from flowerbed.errors import ImageFailed
from flowerbed.image import engine, trying
from flowerbed.image.engine import Engine
from flowerbed.image.layers import opened
from flowerbed.registry.client import Registries
from flowerbed.spec.lock import read_lock
from image.beds import PYPROJECT

Say = Callable[..., tuple[int, str]]

pytestmark = [pytest.mark.usefixtures("cluster_here"), pytest.mark.timeout(300)]

RELEASE = "1.22.0"
TQDM = {
    # One after the other. Buildah and Podman share a storage, and so the base in it; they would share steps as well.
    Engine.BUILDAH: ("4.66.1", "4.66.2"),
    Engine.PODMAN: ("4.66.3", "4.66.4"),
    Engine.DOCKER: ("4.66.5", "4.66.6"),
}

# All that Buildah and Podman leave goes with the tests: what they keep in /var/lib lies in a folder of the tests', and
# what they mount and start is in namespaces that end with it.
ALONE = """\
#!/bin/sh
exec unshare --mount --pid --fork --kill-child=KILL --mount-proc /bin/sh -c '
  mount -t tmpfs tmpfs /var/lib && mkdir /var/lib/containers &&
  mount --bind "{kept}" /var/lib/containers && exec "{program}" "$@"' sh "$@"
"""
# Docker's daemon is the machine's own. A build has the machine's network, as the others' builds have without isolation,
# since only there the package index may be within reach.
ON_THIS_NETWORK = """\
#!/bin/sh
if [ "$1 $2" = "buildx build" ]; then shift 2; set -- buildx build --network host "$@"; fi
exec "{program}" "$@"
"""


@pytest.fixture(scope="module")
def beds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give a folder with engines that leave nothing behind, and a registry with Flower's images beside them."""
    folder = tmp_path_factory.mktemp("engines")
    for name in ("cache", "kept", "storage", "programs"):
        (folder / name).mkdir()
    for made_by in filter(find, Engine):
        script = ON_THIS_NETWORK if made_by is Engine.DOCKER else ALONE
        (folder / "programs" / made_by).write_text(script.format(kept=folder / "kept", program=find(made_by)))
        (folder / "programs" / made_by).chmod(0o755)
    (folder / "storage.conf").write_text(
        f'[storage]\ngraphroot = "{folder}/storage/graph"\nrunroot = "{folder}/storage/run"\n'
    )
    (folder / "containers.conf").write_text(  # else they leave something in /etc/cni, in /run and in /dev/shm
        f'[network]\nnetwork_config_dir = "{folder}/networks"\n'
        f'[engine]\ntmp_dir = "{folder}/storage/libpod"\nlock_type = "file"\n'
    )
    (folder / "config.json").write_text("{}")  # Buildah wants one where DOCKER_CONFIG says
    add_images(flower_images(RELEASE), folder / "images")
    with serving(folder / "images", folder) as address:
        (folder / "address").write_text(address)
        yield folder
    for name in ("storage", "cache", "kept"):
        shutil.rmtree(folder / name)  # all of it large, and pytest would keep it


@pytest.fixture(params=list(Engine))
def made_by(request: pytest.FixtureRequest, beds: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Give an engine that is here and can build."""
    found = Engine(request.param)
    settings = {
        "PATH": f"{beds}/programs:{SEARCH_PATH}",
        "BUILDAH_ISOLATION": "chroot",
        "STORAGE_DRIVER": "overlay",
        "CONTAINERS_STORAGE_CONF": str(beds / "storage.conf"),
        "CONTAINERS_CONF": str(beds / "containers.conf"),
        "TMPDIR": str(beds / "storage"),
        "FLOWERBED_CACHE_DIR": str(beds / "cache"),
    }
    if found is not Engine.DOCKER:  # whose own folder says where its daemon is
        settings["DOCKER_CONFIG"] = str(beds)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    if found is not Engine.BUILDAH:
        try:
            engine.check(found)
        except ImageFailed as error:
            pytest.skip(error.message)
    if subprocess.run(["buildah", "from", "scratch"], capture_output=True, check=False).returncode:
        monkeypatch.setenv("STORAGE_DRIVER", "vfs")  # slower, and works where an overlay cannot lie
    return found


@pytest.fixture
def address(beds: Path) -> str:
    """Give the registry's address."""
    return (beds / "address").read_text()


def read(image: str, layer: Mapping[str, Any], folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return the files of a layer, each with who owns it."""
    with closing(Registries()) as registries:
        content = registries.blob(image, layer["digest"])
    assert content is not None
    (folder / "layer").write_bytes(content)
    with opened(folder / "layer", layer["mediaType"]) as archive:
        return {
            member.name.strip("/"): (member.uid, archive.extractfile(member).read() if member.isfile() else b"")  # type: ignore[union-attr]
            for member in archive
        }


def write_app(app: Path, address: str, image: str, *, more: str = "") -> Path:
    (app / "tiny").mkdir(parents=True)
    for name in ("__init__", "server", "client"):
        (app / "tiny" / f"{name}.py").write_text(f"# {name}\n")
    (app / "federation.yaml").write_text(
        "apiVersion: flowerbed.dev/v1alpha1\nkind: Federation\nmetadata: {name: demo}\n"
        f'spec:\n  flower: "{RELEASE}"\n  app: {{image: "{image}"{more}}}\n  images: {{registry: "{address}"}}\n'
        "  supernodes: [{name: site}]\n"
    )
    return app


def build(say: Say, app: Path, made_by: Engine, tqdm: str, *more: str) -> dict[str, Any]:
    (app / "pyproject.toml").write_text(
        PYPROJECT.replace('"iterators"', '"docopt==0.6.2"').replace("tqdm==4.66.5", f"tqdm=={tqdm}")
    )
    status, said = say("build", str(app), "--engine", made_by, "--json", *more)
    assert status == 0, said
    [made] = [one for line in said.splitlines() if line[:1] == "{" and (one := json.loads(line))["type"] == "built"]
    assert isinstance(made, dict)
    return made


def test_an_engine_builds_the_recipe_and_leaves_no_trace_of_how(
    made_by: Engine, address: str, tmp_path: Path, say: Say
) -> None:
    image, (old, new) = f"{address}/team/{made_by}:1", TQDM[made_by]
    app = write_app(tmp_path / "app", address, image)
    (app / ".env").write_text("PASSWORD=a\n")
    assert build(say, app, made_by, old)["pushed"] is False
    # From now on the engine has steps in its cache. With the image the step is gone that installs, and not those before
    # it; with another version it has to be another one. Flowerbed reads what was pushed, and would refuse it.
    subprocess.run([made_by, "rmi", image], capture_output=True, check=True)
    assert build(say, app, made_by, old, "--push")["packages"] == ["docopt==0.6.2", f"tqdm=={old}"]
    made = build(say, app, made_by, new, "--push")
    subprocess.run([made_by, "rmi", image], capture_output=True, check=True)
    assert (made["pushed"], made["tried"], made["packages"]) == (True, False, ["docopt==0.6.2", f"tqdm=={new}"])
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
    assert "vnd.docker.image.rootfs.diff.tar.zstd" not in json.dumps(manifest)  # which containerd 1.6 cannot unpack
    assert (config["config"]["User"], config["config"]["Entrypoint"]) == ("49999:49999", ["flower-superexec"])
    assert config["config"]["Labels"]["org.opencontainers.image.base.digest"] == made["base_digest"]
    assert {f"pkg:pypi/tqdm@{new}", f"pkg:pypi/flwr@{RELEASE}"} <= {one["purl"] for one in components}
    assert "application/vnd.in-toto+json" in attached

    added = manifest["layers"][len(base["layers"]) :]
    layers = [read(image, layer, tmp_path) for layer in added]
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


class NobodyIsLetIn(BaseHTTPRequestHandler):
    """A registry that wants a login."""

    default_request_version = "HTTP/1.1"  # Docker tries TLS first, and wants to be told in HTTP that it is none

    def answer(self) -> None:
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="registry"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD = do_POST = answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_who_is_not_logged_in_is_told_how_to(made_by: Engine, tmp_path: Path) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), NobodyIsLetIn)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host = f"127.0.0.1:{server.server_port}"
    (tmp_path / "Containerfile").write_text("FROM scratch\nLABEL of=nothing\n")
    (tmp_path / ".dockerignore").write_text("*\n")
    told: list[str] = []
    try:
        engine.build(made_by, tmp_path, f"{host}/tiny:1", "linux/amd64", f"{host}/none", {}, told.append)
        with pytest.raises(ImageFailed, match=f"{made_by} could not push {host}/tiny:1; it ended with") as caught:
            engine.push(made_by, f"{host}/tiny:1", told.append)
        subprocess.run([made_by, "rmi", f"{host}/tiny:1"], capture_output=True, check=True)
    finally:
        server.shutdown()
        server.server_close()
    assert "authentication required" in caught.value.message or "no basic auth" in caught.value.message
    assert caught.value.hint == f"Log in with `{made_by} login {host}`, as someone who may. What was built is kept."


@pytest.mark.skipif(
    os.environ.get("FLOWERBED_APT") != "1", reason="FLOWERBED_APT=1 gets a compiler from Debian's mirror: 300 MB"
)
def test_the_versions_of_debian_are_locked_until_upgrade(
    made_by: Engine, address: str, tmp_path: Path, say: Say
) -> None:
    image, (version, _) = f"{address}/team/{made_by}-apt:1", TQDM[made_by]
    app = write_app(tmp_path / "app", address, image, more=", build: {aptPackages: [tree]}")
    found = build(say, app, made_by, version, "--push")["apt_packages"]
    assert list(found) == ["tree"]
    lock = read_lock((app / "federation.lock").read_text(), "federation.lock")
    assert lock.apt_packages == {f"linux/{trying.here()}": found}

    old = replace(lock, apt_packages={f"linux/{trying.here()}": {"tree": "0.9-1"}})
    (app / "federation.lock").write_text(old.render())
    status, said = say("build", str(app), "--engine", made_by)
    assert status == 1
    assert "E: Version '0.9-1' for 'tree' was not found" in said
    assert "The mirror has tree in another version now. `flowerbed build --upgrade` takes that" in said
    assert build(say, app, made_by, version, "--push", "--upgrade")["apt_packages"] == found
    again = read_lock((app / "federation.lock").read_text(), "federation.lock")
    assert again.apt_packages == lock.apt_packages
