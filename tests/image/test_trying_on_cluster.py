"""An app is imported in its image before the image has a name: on the base of a real Flower release."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cluster.images import flower_images
from cluster.packages import SEARCH_PATH
from cluster.registry import add_images, serving
from federation.beds import APPS
from flowerbed.image import trying
from flowerbed.registry.client import Registries
from image.beds import Say, image_of

pytestmark = [pytest.mark.usefixtures("cluster_here"), pytest.mark.timeout(300)]

RELEASE = "1.42.0"


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Give a registry with Flower's images."""
    flower = flower_images(RELEASE)  # in the cache that all tests share
    monkeypatch.setenv("FLOWERBED_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", SEARCH_PATH)
    add_images(flower, tmp_path / "images")
    with serving(tmp_path / "images", tmp_path) as address:
        yield address
    for name in ("cache", "images"):
        shutil.rmtree(tmp_path / name)  # all of it large, and pytest would keep it


def test_what_cannot_be_imported_in_its_image_leaves_the_name_as_it_was(address: str, tmp_path: Path, say: Say) -> None:
    app = tmp_path / "app"
    shutil.copytree(APPS / "slow", app)
    image, base = f"{address}/team/slow:1", f"{address}/flwr/superexec:{RELEASE}"
    command = ("build", str(app), "--flower", RELEASE, "--base", base, "--tag", image, "--push", "--json")
    status, said = say(*command)
    assert status == 0, said
    good = image_of(said)
    assert good["tried"]

    client = app / "slow_app" / "client_app.py"
    text = client.read_text()
    client.write_text(f"import nowhere\n{text}")
    status, said = say(*command)
    assert status == 2
    assert "the ClientApp cannot be imported" in said
    assert "No module named 'nowhere'" in said
    assert f'{client}\\", line 1' in said  # where the user has it, not where it lies in the image
    with closing(Registries()) as registries:
        assert registries.digest(image) == good["digest"]

    # What only this machine has is not in the image.
    client.write_text(f"import pytest\n{text}")
    status, said = say(*command)
    assert (status, "No module named 'pytest'" in said) == (2, True)
    client.write_text(f"import os\nos._exit(7)\n{text}")
    status, said = say(*command)
    assert (status, "nothing can be run in the image: its Python ended with 7" in said) == (1, True), said
    client.write_text(text)
    status, said = say(*command)
    assert image_of(said)["digest"] == good["digest"]


def test_why_nothing_was_tried_is_told(address: str, tmp_path: Path, say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    app = tmp_path / "app"
    shutil.copytree(APPS / "slow", app)
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "unshare").write_text("#!/bin/sh\necho 'unshare: Operation not permitted' >&2; exit 1\n")
    (programs / "unshare").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{SEARCH_PATH}")
    base = f"{address}/flwr/superexec:{RELEASE}"
    status, said = say("build", str(app), "--flower", RELEASE, "--base", base, "--tag", f"{address}/team/slow:1")
    assert status == 0, said
    here = f"linux/{trying.here()}"
    assert (
        f"The image for {here} was not tried: nothing can be run in an image here: unshare: Operation not permitted."
        in said
    )
