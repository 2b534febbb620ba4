"""`flowerbed build --containerfile` with a real registry and a real uv; no engine builds what it writes here."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from flowerbed.spec.lock import Lock
from image.beds import RELEASE, Place, Say, write_app

pytestmark = [pytest.mark.usefixtures("registry_here"), pytest.mark.timeout(300)]


@pytest.fixture
def place(place: Place) -> Place:
    """Give the same, with an app that has a program."""
    (place.app / "tiny" / "start.sh").write_text("#!/bin/sh\n")
    (place.app / "tiny" / "start.sh").chmod(0o700)
    return place


def recipe(say: Say, place: Place, folder: Path, *more: str) -> dict[str, Any]:
    status, said = say("build", str(place.app), "--containerfile", str(folder), "--json", *more)
    assert status == 0, said
    [found] = [one for line in said.splitlines() if line[:1] == "{" and (one := json.loads(line))["type"] == "recipe"]
    assert isinstance(found, dict)
    return found


def refused(say: Say, place: Place, *more: str) -> str:
    status, said = say("build", str(place.app), *more)
    assert status in (1, 2), said
    assert "Traceback" not in said
    return said


def files(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            status = path.stat()
            found[path.relative_to(folder).as_posix()] = (path.read_bytes(), status.st_mode & 0o777, status.st_mtime_ns)
    return found


def test_a_recipe_is_a_folder_with_all_that_a_build_needs(place: Place, say: Say) -> None:
    base = place.base()
    folder = place.folder / "recipe"
    made = recipe(say, place, folder, "--compiler")
    assert made["base_digest"] == base
    assert made["packages"] == ["iterators==0.0.2", "tqdm==4.66.5"]
    written = files(folder)
    assert sorted(written) == sorted([
        ".dockerignore", ".flowerbed-recipe", "Containerfile", "requirements.txt", "app/pyproject.toml",
        "app/tiny/__init__.py", "app/tiny/client.py", "app/tiny/server.py", "app/tiny/start.sh",
    ])  # fmt: skip
    assert sorted(made["changed"]) == sorted(set(written) - {".flowerbed-recipe"})
    assert {path: mode for path, (_, mode, _) in written.items() if mode != 0o644} == {"app/tiny/start.sh": 0o755}
    text = written["Containerfile"][0].decode()
    assert text.count(f"FROM {place.address}/flwr/superexec@{base}") == 2
    assert "build-essential" in text
    # Nothing of this machine: not where packages come from, and not where the app lies.
    assert not any(word in text for word in ("http", "index-url", str(place.folder)))


def test_the_same_again_changes_nothing_and_another_app_what_is_of_it(place: Place, say: Say) -> None:
    place.base()
    folder = place.folder / "recipe"
    recipe(say, place, folder)
    before = files(folder)
    assert recipe(say, place, folder)["changed"] == []
    assert files(folder) == before
    (place.app / "tiny" / "client.py").write_text("# another\n")
    (place.app / "tiny" / "deep").mkdir()
    (place.app / "tiny" / "server.py").rename(place.app / "tiny" / "deep" / "server.py")
    assert recipe(say, place, folder)["changed"] == [
        "app/tiny/client.py",
        "app/tiny/deep/server.py",
        "app/tiny/server.py",
    ]
    (place.app / "tiny" / "deep" / "server.py").unlink()
    (place.app / "tiny" / "start.sh").chmod(0o644)
    assert recipe(say, place, folder)["changed"] == ["app/tiny/deep/server.py", "app/tiny/start.sh"]
    assert not (folder / "app" / "tiny" / "deep").exists()  # it would be a package of the app's, in the image
    assert files(folder)["Containerfile"] == before["Containerfile"]


def test_a_folder_that_is_not_a_recipes_is_left_alone(place: Place, say: Say) -> None:
    place.base()
    folder = place.folder / "recipe"
    folder.mkdir()
    (folder / "Containerfile").write_text("FROM scratch\n")
    assert "holds files that flowerbed did not write" in refused(say, place, "--containerfile", str(folder))
    assert (folder / "Containerfile").read_text() == "FROM scratch\n"
    (folder / "Containerfile").unlink()
    recipe(say, place, folder)
    (folder / "Containerfile").write_text("FROM scratch\n")
    assert "Containerfile was changed by hand" in refused(say, place, "--containerfile", str(folder))
    assert (folder / "Containerfile").read_text() == "FROM scratch\n"


def test_a_recipe_does_not_go_into_the_image(place: Place, say: Say) -> None:
    place.base()
    for folder in (place.app, place.app / "image"):
        said = refused(say, place, "--containerfile", str(folder))
        assert "lies in the app's folder, and would go into the image itself" in said
    assert not (place.app / "image").exists()
    inside = place.app / "build" / "image"
    assert recipe(say, place, inside)["changed"]
    assert recipe(say, place, inside)["changed"] == []


def test_a_secret_in_the_app_is_refused_before_anything_is_written(place: Place, say: Say) -> None:
    place.base()
    (place.app / "tiny" / "id_rsa").write_text("secret")
    assert "looks like a secret" in refused(say, place, "--containerfile", str(place.folder / "recipe"))
    assert not (place.folder / "recipe").exists()


def test_versions_of_debian_that_are_locked_go_into_the_recipe(place: Place, say: Say) -> None:
    place.base()
    write = place.app / "federation.yaml"
    write.write_text(write.read_text().replace("app: {", "app: {build: {aptPackages: [libgomp1, git]}, "))
    lock = Lock(RELEASE, apt_packages={"linux/arm64": {"libgomp1": "12.2.0-14"}})
    (place.app / "federation.lock").write_text(lock.render())
    folder = place.folder / "recipe"
    recipe(say, place, folder)
    assert "libgomp1=12.2.0-14 git" in (folder / "Containerfile").read_text()
    recipe(say, place, folder, "--upgrade")
    assert "libgomp1 git" in (folder / "Containerfile").read_text()


def test_packages_of_debian_take_an_engine(place: Place, say: Say) -> None:
    place.base()
    shutil.rmtree(place.app)
    write_app(place.app, place.address, more=", build: {aptPackages: [libgomp1]}")
    said = refused(say, place)
    assert "only a container engine can install packages of Debian: libgomp1" in said
    assert "--engine buildah, podman or docker" in said
    folder = place.folder / "recipe"
    recipe(say, place, folder)
    assert (folder / "Containerfile").read_text().count(" libgomp1") == 2


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--containerfile", "recipe", "--push"], "--containerfile writes a recipe and makes no image"),
        (["--containerfile", "recipe", "--engine", "podman"], "--containerfile writes a recipe and makes no image"),
        (["--engine", "buildah", "--output", "x.tar"], "with --engine buildah the image is in its storage"),
        (
            ["--engine", "docker", "--platform", "linux/amd64", "--platform", "linux/arm64"],
            "with --engine an image is for one platform",
        ),
        (["--compiler"], "nothing is compiled without a container engine"),
    ],
)
def test_ways_that_exclude_each_other(more: list[str], message: str, place: Place, say: Say) -> None:
    assert message in refused(say, place, *more)
    assert not (place.app / "app.lock").exists()


def test_an_engine_that_is_not_here_is_refused_before_anything_is_done(
    place: Place, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(place.folder))
    assert "there is no program podman on this machine" in refused(say, place, "--engine", "podman")
    assert not (place.app / "app.lock").exists()


def test_the_release_of_the_recipe_is_the_federations(place: Place, say: Say) -> None:
    place.base(tag="1.40.0")
    base = f"{place.address}/flwr/superexec:1.40.0"
    recipe(say, place, place.folder / "recipe", "--base", base)
    # Of a base no more is asked here than its digest: that it has another Flower is found when the recipe is built.
    assert f'found != "{RELEASE}"' in (place.folder / "recipe" / "Containerfile").read_text()
