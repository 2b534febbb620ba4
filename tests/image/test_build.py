"""`flowerbed build` with a real registry and a real uv, on bases of another architecture, which are not run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from federation.beds import FLOWERBED
from flowerbed.registry.client import Registries
from flowerbed.spec.lock import read_lock
from free_ports import free_port
from image.beds import PYPROJECT, RELEASE, Place, Say, build, write_app
from image.index import Index, indexing
from image.made import FOREIGN, SITE, distribution, system

pytestmark = [pytest.mark.usefixtures("registry_here"), pytest.mark.timeout(300)]


def test_an_app_becomes_an_image_of_the_base_its_packages_and_itself(place: Place, say: Say) -> None:
    base = place.base()
    made = build(say, place, "--push")
    assert made["packages"] == ["tqdm==4.66.5"]  # the other one is in the base, in the version that is locked
    assert (made["base_digest"], made["pushed"], made["tried"]) == (base, True, False)
    manifest = place.manifest("team/tiny", "1")
    below, packages, app = manifest["layers"]
    assert below == place.manifest("flwr/superexec", RELEASE)["layers"][0]
    files = place.layer("team/tiny", app)
    assert {path for path in files if files[path] != b"/"} == {
        "app/pyproject.toml", "app/tiny/__init__.py", "app/tiny/client.py", "app/tiny/server.py",
    }  # fmt: skip
    new = place.layer("team/tiny", packages)
    assert f"{SITE}/tqdm/std.py" in new
    assert new["python/venv/bin/tqdm"].startswith(b"#!/python/venv/bin/python\n")
    # What the base had of another version is taken away; what it has in common with the new one is written over it.
    assert {path for path in new if "/.wh." in path} == {f"{SITE}/tqdm/.wh.of_old.py"}
    with closing(Registries()) as registries:
        config = json.loads(registries.blob(f"{place.address}/team/tiny:1", manifest["config"]["digest"]) or b"")
    assert config["config"]["Entrypoint"] == ["flower-superexec"]
    assert config["config"]["User"] == "app"
    assert config["created"] == "2026-01-02T03:04:05Z"
    assert config["config"]["Labels"]["dev.flowerbed.app"] == "tests/tiny==1.0.0"
    assert len(config["rootfs"]["diff_ids"]) == 3
    lock = read_lock((place.app / "federation.lock").read_text(), "federation.lock")
    assert lock.images == {f"{place.address}/team/tiny:1": made["digest"]}


def test_two_builds_in_different_folders_from_empty_caches_give_one_digest(
    place: Place, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.base()
    first = build(say, place)
    other = place.folder / "somewhere" / "else"
    shutil.copytree(place.app, other)
    monkeypatch.setenv("FLOWERBED_CACHE_DIR", str(place.folder / "another cache"))
    again = build(say, place, app=other)
    assert again["digest"] == first["digest"]
    (other / "tiny" / "client.py").write_text("# changed\n")
    assert build(say, place, app=other)["digest"] != first["digest"]


def test_a_changed_line_pushes_a_layer_of_a_few_bytes_and_the_same_again_nothing(place: Place, say: Say) -> None:
    place.base()
    assert build(say, place, "--push")["pushed_bytes"] > 50_000
    (place.app / "tiny" / "client.py").write_text("# one line of code\n")
    changed = build(say, place, "--push")
    assert 0 < changed["pushed_bytes"] < 10_000
    again = build(say, place, "--push")
    assert (again["pushed_bytes"], again["digest"]) == (0, changed["digest"])
    assert place.manifest("team/tiny", "1")["layers"][2]["size"] < 5_000


def test_of_a_base_for_several_machines_the_right_one_is_taken(place: Place, say: Say) -> None:
    base = place.base(architectures=("amd64", "arm64"))
    index = place.manifest("flwr/superexec", RELEASE)
    [chosen] = [one["digest"] for one in index["manifests"] if one["platform"]["architecture"] == FOREIGN]
    made = build(say, place, "--push")
    assert made["base_digest"] == base
    with closing(Registries()) as registries:
        config = place.manifest("team/tiny", "1")["config"]["digest"]
        said = json.loads(registries.blob(f"{place.address}/team/tiny:1", config) or b"")
    assert said["architecture"] == FOREIGN
    assert place.manifest("flwr/superexec", chosen)["layers"][0] == place.manifest("team/tiny", "1")["layers"][0]


def test_what_an_image_holds_and_comes_from_is_attached_to_it(place: Place, say: Say) -> None:
    base = place.base()
    made = build(say, place, "--push")
    name = f"{place.address}/team/tiny:1"
    with closing(Registries()) as registries:
        found = {one["artifactType"]: one for one in registries.referrers(name, made["digest"])}
        assert sorted(one["digest"] for one in found.values()) == sorted(made["attached"])
        contents = {}
        for kind, one in found.items():
            manifest = registries.manifest(name, one["digest"])
            assert manifest is not None
            assert manifest["subject"]["digest"] == made["digest"]
            contents[kind] = json.loads(registries.blob(name, manifest["layers"][0]["digest"]) or b"")
    components = {one["purl"] for one in contents["application/vnd.cyclonedx+json"]["components"]}
    assert components == {
        "pkg:pypi/tqdm@4.66.5", f"pkg:pypi/flwr@{RELEASE}", "pkg:pypi/iterators@0.0.2",
        "pkg:deb/debian/libc6@2.36-9?arch=all&distro=debian-12",
    }  # fmt: skip
    statement = contents["application/vnd.in-toto+json"]
    assert statement["subject"][0]["digest"] == {"sha256": made["digest"].removeprefix("sha256:")}
    used = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert used[0]["digest"] == {"sha256": base.removeprefix("sha256:")}
    assert build(say, place, "--push")["attached"] == made["attached"]


def test_an_archive_holds_the_whole_image(place: Place, say: Say) -> None:
    import tarfile

    place.base()
    made = build(say, place, "--output", str(place.folder / "image.tar"))
    with tarfile.open(place.folder / "image.tar") as archive:
        names = set(archive.getnames())
        file = archive.extractfile("index.json")
        assert file is not None
        [entry] = json.loads(file.read())["manifests"]
        assert entry["digest"] == made["digest"]
        content = archive.extractfile(f"blobs/{made['digest'].replace(':', '/')}")
        assert content is not None
        manifest = json.loads(content.read())
    assert {f"blobs/{one['digest'].replace(':', '/')}" for one in [manifest["config"], *manifest["layers"]]} <= names


# --- the lock --------------------------------------------------------------------------------------------


def test_a_lock_is_written_once_and_locked_refuses_what_is_missing_or_stale(place: Place, say: Say) -> None:
    place.base()
    status, said = say("build", str(place.app), "--locked")
    assert (status, "app.lock is not there" in said) == (2, True)
    build(say, place)
    written = (place.app / "app.lock").read_text()
    build(say, place, "--locked")
    assert (place.app / "app.lock").read_text() == written
    (place.app / "pyproject.toml").write_text(PYPROJECT.replace("tqdm==4.66.5", "tqdm==4.66.4"))
    status, said = say("build", str(place.app), "--locked")
    assert (status, "app.lock is not of what the app asks for now" in said) == (2, True)
    assert (place.app / "app.lock").read_text() == written
    assert build(say, place)["packages"] == ["tqdm==4.66.4"]


# --- what is wrong ---------------------------------------------------------------------------------------


def refused(say: Say, place: Place, *more: str) -> str:
    status, said = say("build", str(place.app), "--platform", f"linux/{FOREIGN}", *more)
    assert status in (1, 2), said
    assert "Traceback" not in said
    return said


def test_a_base_of_another_release_is_refused_with_both(place: Place, say: Say) -> None:
    place.base(files={**system(), **distribution("flwr", "1.40.0")})
    said = refused(say, place, "--push")
    assert "the base image has Flower 1.40.0, and the federation runs Flower 1.42.0" in said


def test_a_pin_of_flower_that_contradicts_is_refused_with_both(place: Place, say: Say) -> None:
    place.base()
    (place.app / "pyproject.toml").write_text(PYPROJECT.replace("flwr[simulation]>=1.22", "flwr==1.30.0"))
    said = refused(say, place)
    assert "flwr==1.30.0" in said
    assert RELEASE in said


def test_a_base_that_is_not_there_or_not_for_the_machine_is_refused(place: Place, say: Say) -> None:
    assert "there is no such image" in refused(say, place)
    place.base()
    own = "amd64" if FOREIGN == "arm64" else "arm64"
    status, said = say("build", str(place.app), "--platform", f"linux/{own}")
    assert (status, f"is for linux/{FOREIGN}, not for linux/{own}" in said) == (1, True)
    status, said = say("build", str(place.app), "--platform", "windows/amd64")
    assert (status, "no platform that is known" in said) == (2, True)


def test_what_the_base_shall_bring_and_does_not_is_refused(place: Place, say: Say) -> None:
    place.base()
    shutil.rmtree(place.app)
    write_app(place.app, place.address, more=", build: {providedByBase: [tqdm]}")
    assert build(say, place)["packages"] == []
    shutil.rmtree(place.app)
    write_app(place.app, place.address, more=", build: {providedByBase: [Torch]}")
    assert "does not bring Torch" in refused(say, place)


def test_a_package_without_a_wheel_is_refused_before_anything_is_pushed(place: Place, say: Say) -> None:
    place.base()
    # ibm-db-sa and the like come and go; this one has only ever been a source archive
    (place.app / "pyproject.toml").write_text(PYPROJECT.replace('"iterators"', '"docopt==0.6.2"'))
    said = refused(say, place, "--push")
    assert "docopt" in said
    assert "wheel" in said


def test_a_package_that_is_not_what_was_locked_is_not_installed(place: Place, say: Say) -> None:
    place.base()
    build(say, place)
    lock = place.app / "app.lock"
    text = lock.read_text()
    start = text.index('name = "tqdm"')
    lock.write_text(text[:start] + re.sub(r"sha256:[0-9a-f]{64}", f"sha256:{'0' * 64}", text[start:]))
    assert "hash mismatch" in refused(say, place, "--push")
    assert not place.has("team/tiny")


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Index]:
    """Give an index beside the usual one."""
    with indexing() as found:
        monkeypatch.setenv("UV_INDEX", found.address)
        monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
        yield found


def test_a_version_that_was_taken_back_is_told_each_time_and_left_when_asked_to(
    place: Place, say: Say, index: Index
) -> None:
    place.base()
    (place.app / "pyproject.toml").write_text(PYPROJECT.replace('"tqdm==4.66.5"', '"small-thing"'))
    index.add("small_thing", "1.0")
    index.add("small_thing", "2.0")
    assert "small-thing==2.0" in build(say, place)["packages"]
    shutil.rmtree(place.folder / "cache")
    index.yank("small_thing", "2.0", "it loses files")
    for _ in range(2):  # also when it comes out of the cache
        assert build(say, place)["yanked"] == ["small-thing==2.0 (it loses files)"]
    status, said = say("build", str(place.app), "--platform", f"linux/{FOREIGN}")
    assert status == 0
    assert "! Taken back by its publisher (yanked): small-thing==2.0 (it loses files). --upgrade" in said
    found = build(say, place, "--upgrade")
    assert "small-thing==1.0" in found["packages"]
    assert found["yanked"] == []


def test_a_range_of_which_all_was_taken_back_is_refused_with_the_reason(place: Place, say: Say, index: Index) -> None:
    place.base()
    (place.app / "pyproject.toml").write_text(PYPROJECT.replace('"tqdm==4.66.5"', '"small-thing>=2"'))
    index.add("small_thing", "1.0")
    index.add("small_thing", "2.0")
    index.yank("small_thing", "2.0", "it loses files")
    said = refused(say, place, "--push")
    assert "was yanked (reason: it loses files)" in said
    assert not (place.app / "app.lock").exists()
    assert not place.has("team/tiny")


def test_no_way_to_the_index_is_told(place: Place, say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    place.base()
    build(say, place)
    monkeypatch.setenv("FLOWERBED_CACHE_DIR", str(place.folder / "another"))
    monkeypatch.setenv("UV_CACHE_DIR", str(place.folder / "empty"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    for name in ("UV_INDEX_URL", "UV_DEFAULT_INDEX"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}/simple")
    said = refused(say, place, "--push", "--locked")
    assert "there is no network, or the place where the packages come from does not answer" in said
    assert not place.has("team/tiny")


@pytest.mark.skipif(
    subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode != 0, reason="no namespaces here"
)
def test_a_full_disk_is_told_and_leaves_nothing_that_would_be_used(place: Place) -> None:
    place.base()
    cache = place.folder / "small"
    cache.mkdir()
    script = 'mount -t tmpfs -o size=256k none "$0" && { "$@"; status=$?; ls -R "$0" >&2; exit $status; }'
    command = [*FLOWERBED, "build", str(place.app), "--platform", f"linux/{FOREIGN}", "--push"]
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, str(cache), *command],
        env={**os.environ, "FLOWERBED_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "no space left" in done.stderr.lower()
    assert "Traceback" not in done.stderr
    assert "layer.json" not in done.stderr
    assert not place.has("team/tiny")


def test_a_secret_in_the_folder_is_refused(place: Place, say: Say) -> None:
    place.base()
    (place.app / "tiny" / "server.key").write_text("secret")
    assert "looks like a secret" in refused(say, place, "--push")


@pytest.mark.parametrize("tag", ["Team/App:1", "app:", "app@sha256:" + "0" * 64, "https://example.org/app"])
def test_a_name_that_is_none_is_refused(tag: str, place: Place, say: Say) -> None:
    assert "is not an image's name" in refused(say, place, "--tag", tag)


def test_a_push_needs_a_name(place: Place, say: Say) -> None:
    (place.app / "federation.yaml").unlink()
    said = refused(say, place, "--push", "--flower", RELEASE)
    assert "nothing says what the image is called" in said
