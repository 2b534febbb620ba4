"""`flowerbed lock` on a real registry: what it writes, and what the other verbs then name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cluster.registry import serving
from flowerbed.flower.releases import DEFAULT
from flowerbed.kubernetes.manifests.images import PROXY_REPOSITORY, PROXY_TAG
from flowerbed.spec.lock import Lock, read_lock
from json_output import differences, heard
from registry.pushing import push

Say = Callable[..., tuple[int, str]]

pytestmark = pytest.mark.usefixtures("registry_here")


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Give a registry with the images of the federation in the working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with serving(tmp_path / "images", tmp_path) as address:
        push(address, "team/app", "1", note="app")
        push(address, "flwr/superlink", str(DEFAULT.release), note="superlink")
        push(address, PROXY_REPOSITORY, PROXY_TAG, note="proxy")
        Path("federation.yaml").write_text(
            "apiVersion: flowerbed.dev/v1alpha1\n"
            "kind: Federation\n"
            "metadata: {name: demo}\n"
            "spec:\n"
            f'  app: {{image: "{address}/team/app:1"}}\n'
            f'  images: {{registry: "{address}"}}\n'
            "  supernodes: [{name: site}]\n"
            "  security: {images: Pinned}\n"
        )
        yield address


def images_of(said: str) -> set[str]:
    lines = [json.loads(line) for line in said.splitlines()]
    made = [line["object"] for line in lines if line["type"] == "object"]
    pods = [item["spec"]["template"]["spec"] for item in made if "template" in item.get("spec", {})]
    return {container["image"] for pod in pods for container in pod["containers"]}


def locked() -> Lock:
    return read_lock(Path("federation.lock").read_text(), "federation.lock")


def test_what_is_locked_is_rendered_until_it_is_locked_again(registry: str, say: Say) -> None:
    status, said = say("render")
    assert (status, "flowerbed lock" in said) == (2, True)

    assert say("lock", "--check")[0] == 1
    assert not Path("federation.lock").exists()
    refused = heard("render", *say("render", "--json"))
    status, said = say("lock", "--json")
    assert differences("lock", [refused, heard("lock", status, said)]) == []
    told = {line["image"]: line["digest"] for line in map(json.loads, said.splitlines())}
    assert (status, dict(locked().images)) == (0, told)
    names = ("team/app:1", f"flwr/superlink:{DEFAULT.release}", f"{PROXY_REPOSITORY}:{PROXY_TAG}")
    assert set(told) == {f"{registry}/{name}" for name in names}

    status, said = say("render", "--json")
    assert (status, images_of(said)) == (0, {f"{image}@{digest}" for image, digest in told.items()})
    assert say("lock")[0] == say("lock", "--check")[0] == 0

    moved = push(registry, "team/app", "1", note="another")
    assert images_of(say("render", "--json")[1]) == {f"{image}@{digest}" for image, digest in told.items()}
    assert say("lock", "--check")[0] == 1
    status, said = say("lock", "--json")
    assert [line["digest"] for line in map(json.loads, said.splitlines()) if line["changed"]] == [moved]
    assert f"{registry}/team/app:1@{moved}" in images_of(say("render", "--json")[1])


def test_a_lock_is_left_as_it_is_where_an_image_is_missing(registry: str, say: Say) -> None:
    assert say("lock")[0] == 0
    before = Path("federation.lock").read_text()
    file = Path("federation.yaml")
    file.write_text(file.read_text().replace("team/app:1", "team/app:2"))
    status, said = say("lock")
    assert (status, f"{registry}/team/app:2: there is no such image" in said) == (1, True)
    assert Path("federation.lock").read_text() == before
    assert say("render")[0] == 2  # what is locked is another image


def test_a_file_without_an_image_has_nothing_to_lock(registry: str, say: Say) -> None:
    file = Path("federation.yaml")
    file.write_text("\n".join(line for line in file.read_text().splitlines() if "app:" not in line))
    status, said = say("lock")
    assert (status, "spec.app.image" in said) == (2, True)
