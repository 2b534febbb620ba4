"""The recipe for container engines, written out."""

# ruff: noqa: E501 (a recipe has a command on a line)

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from flowerbed.environments.app_lock import AppLock, Asked, Package
from flowerbed.environments.requirements import Wanted
from flowerbed.image.containerfile import (
    Options,
    containerfile,
    ignore_file,
    requirements,
    texts,
    versions,
    with_versions,
)
from flowerbed.image.recipe import Recipe
from flowerbed.spec.app import AppManifest

BASE, DIGEST = "flwr/superexec:1.42.0", "sha256:" + "b" * 64
PYTHONS = ("3.11", "3.12")


def package(name: str, *via: str, version: str = "1.0", marker: str = "") -> Package:
    return Package(name, version, (f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"), marker, via or ("",))


LOCK = AppLock(
    "1.42.0",
    "3.11",
    "sha256:" + "a" * 64,
    (
        package("colorama", "tqdm", marker="sys_platform == 'win32'"),
        package("cryptography", "flwr"),
        package("flwr", version="1.42.0"),
        package("numpy", "", "flwr", version="1.26.4", marker="python_full_version < '3.12'"),
        package("numpy", "", "flwr", version="2.1.0", marker="python_full_version >= '3.12'"),
        package("nvidia-nccl", "torch", marker="platform_machine == 'x86_64'"),
        package("torch"),
        package("tqdm"),
    ),
)
RECIPE = Recipe(
    Path("app"),
    AppManifest("tests", "tiny", "1.0.0", "tiny.server:app", "tiny.client:app"),
    Asked("1.42.0", "", Wanted(), "app/pyproject.toml"),
    LOCK,
)


def test_the_recipe_of_an_app() -> None:
    assert (
        containerfile(RECIPE, BASE, DIGEST, Options(PYTHONS))
        == f"""\
# Written by `flowerbed build --containerfile`, which writes it anew: change app.lock or federation.yaml instead.
# This folder is all that a build needs:
#
#   docker buildx build --file Containerfile --tag NAME .
#   podman build --tag NAME .
#   buildah build --layers --tag NAME .
#
# An index of your own and the certificates to trust it by are secrets, of which nothing stays in the image:
#
#   --secret id=pip.conf,src=/etc/pip.conf --secret id=ca.crt,src=/etc/ssl/certs/ca-certificates.crt

# flwr/superexec:1.42.0
FROM docker.io/flwr/superexec@{DIGEST} AS wheels
USER 0:0
COPY requirements.txt /wheels/
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \\
    --mount=type=secret,id=ca.crt,target=/run/secrets/ca.crt \\
    python -c 'import sys; from importlib.metadata import version; found = version("flwr"); sys.exit(found != "1.42.0" and f"the base image has Flower {{found}}, and the app is locked for Flower 1.42.0")' \\
 && if [ -s /run/secrets/ca.crt ]; then export PIP_CERT=/run/secrets/ca.crt; fi \\
 && PIP_USE_PEP517=1 python -m pip --no-cache-dir --disable-pip-version-check wheel --no-deps --require-hashes --wheel-dir /wheels -r /wheels/requirements.txt \\
 && touch /wheels/28d5e36b1d9af7b8
WORKDIR /wheels

FROM docker.io/flwr/superexec@{DIGEST}
USER 0:0
RUN --mount=type=bind,from=wheels,source=/wheels,target=/wheels \\
    if [ ! -e /wheels/28d5e36b1d9af7b8 ]; then echo 'The engine does not show the packages that it made: empty its cache, or take one with RUN --mount.' >&2; exit 1; fi \\
 && set -- /wheels/*.whl \\
 && if [ -e "$1" ]; then python -m pip --no-cache-dir --disable-pip-version-check install --no-index --no-deps "$@"; fi
COPY --chown=49999:49999 app /app
LABEL org.opencontainers.image.title="tiny" \\
      org.opencontainers.image.version="1.0.0" \\
      org.opencontainers.image.base.name="flwr/superexec:1.42.0" \\
      org.opencontainers.image.base.digest="{DIGEST}" \\
      dev.flowerbed.app="tests/tiny==1.0.0" \\
      dev.flowerbed.app-lock="{LOCK.digest}" \\
      dev.flowerbed.flower="1.42.0"
USER 49999:49999
"""
    )


def test_packages_of_debian_come_with_a_compiler_where_wheels_are_built_and_without_it_into_the_image() -> None:
    text = containerfile(RECIPE, BASE, DIGEST, Options(PYTHONS, ("libgomp1", "git=1:2.39.5-0", "libgomp1")))
    wheels, image = text.split("\n\nFROM ")
    install = "DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends"
    assert f"RUN apt-get update \\\n && {install} build-essential libgomp1 git=1:2.39.5-0\nCOPY" in wheels
    assert (
        f"USER 0:0\nRUN apt-get update \\\n && {install} libgomp1 git=1:2.39.5-0 \\\n"
        " && rm -rf /var/lib/apt/lists/* /var/cache/apt/*\nRUN --mount"
    ) in image


def test_versions_of_debian_that_are_locked_are_asked_for_again_where_they_hold() -> None:
    locked = {"linux/amd64": {"git": "1", "libgomp1": "12"}, "linux/arm64": {"git": "1", "libgomp1": "12+b1"}}
    asked = ("git", "libgomp1", "zlib1g", "curl=7.88")
    assert with_versions(asked, locked, "linux/arm64") == ("git=1", "libgomp1=12+b1", "zlib1g", "curl=7.88")
    assert with_versions(asked, locked, None) == ("git=1", "libgomp1", "zlib1g", "curl=7.88")
    assert with_versions(asked, {}, "linux/amd64") == with_versions(asked, {}, None) == asked
    installed = [("curl", "7.88", "amd64"), ("git", "1", "all"), ("libc6", "2.36", "amd64")]
    assert versions(asked, installed) == {"curl": "7.88", "git": "1"}


def test_a_compiler_that_is_asked_for_is_where_wheels_are_built_alone() -> None:
    wheels, image = containerfile(RECIPE, BASE, DIGEST, Options(PYTHONS, compiler=True)).split("\n\nFROM ")
    assert "--no-install-recommends build-essential\n" in wheels
    assert "apt-get" not in image


def test_the_step_that_installs_is_another_one_where_anything_of_the_wheels_is_another() -> None:
    def mark(recipe: Recipe, digest: str, options: Options) -> str:
        # The last instruction of the first stage is a shield, so that an old Buildah shows what came before it.
        wheels, image = containerfile(recipe, BASE, digest, options).split("\nWORKDIR /wheels\n\nFROM ")
        [found] = re.findall(r"if \[ ! -e (/wheels/\w+) \]; then .* exit 1; fi", image)
        assert wheels.endswith(f" \\\n && touch {found}")
        return str(found)

    plain = mark(RECIPE, DIGEST, Options(PYTHONS))
    upgraded = replace(LOCK, packages=(*LOCK.packages[:-1], package("tqdm", version="2.0")))
    assert mark(RECIPE, DIGEST, Options(PYTHONS)) == plain
    assert plain not in {
        mark(replace(RECIPE, lock=upgraded), DIGEST, Options(PYTHONS)),
        mark(RECIPE, "sha256:" + "c" * 64, Options(PYTHONS)),
        mark(RECIPE, DIGEST, Options(PYTHONS, compiler=True)),
        mark(RECIPE, DIGEST, Options(PYTHONS, ("libgomp1",))),
    }


def test_what_is_installed_is_the_apps_alone_with_markers_and_hashes() -> None:
    hashes = f"--hash=sha256:{'1' * 64} --hash=sha256:{'2' * 64}"
    # Nothing for Windows, Flower, or what only Flower needs.
    assert requirements(RECIPE, PYTHONS).splitlines() == [
        f"numpy==1.26.4 ; python_full_version < '3.12' {hashes}",
        f"numpy==2.1.0 ; python_full_version >= '3.12' {hashes}",
        f"nvidia-nccl==1.0 ; platform_machine == 'x86_64' {hashes}",
        f"torch==1.0 {hashes}",
        f"tqdm==1.0 {hashes}",
    ]
    assert "1.26.4" not in requirements(RECIPE, ["3.12"])


def test_what_the_base_provides_is_left_to_it_and_checked() -> None:
    provided = replace(RECIPE, provided=("Torch",))
    assert [line.split("==")[0] for line in requirements(provided, ["3.11"]).splitlines()] == ["numpy", "tqdm"]
    assert 'version("torch"); found = version("flwr"); sys.exit(' in containerfile(
        provided, BASE, DIGEST, Options(PYTHONS)
    )


@pytest.mark.parametrize(
    ("flwr", "status", "said"),
    [
        ("1.42.0", 0, ""),
        ("1.40.0", 1, "the base image has Flower 1.40.0, and the app is locked for Flower 1.42.0"),
        (None, 1, "No package metadata was found for flwr"),
    ],
)
def test_the_base_is_checked_when_the_recipe_is_built(flwr: str | None, status: int, said: str, tmp_path: Path) -> None:
    if flwr:
        (tmp_path / "flwr.dist-info").mkdir()
        (tmp_path / "flwr.dist-info" / "METADATA").write_text(f"Name: flwr\nVersion: {flwr}\n")
    text = containerfile(RECIPE, BASE, DIGEST, Options(PYTHONS))
    [command] = [line.strip(" \\") for line in text.splitlines() if line.startswith("    python -c")]
    environment = {"PYTHONPATH": str(tmp_path), "PATH": str(tmp_path)}
    (tmp_path / "python").symlink_to(sys.executable)
    done = subprocess.run(["/bin/sh", "-c", command], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, said in done.stderr) == (status, True), done.stderr


def test_a_label_keeps_what_its_language_has_a_meaning_for() -> None:
    odd = replace(RECIPE, says=replace(RECIPE.says, name='a "b" $c \\'))
    assert r'image.title="a \"b\" \$c \\"' in containerfile(odd, BASE, DIGEST, Options(PYTHONS))


def test_the_name_of_the_base_says_where_it_is_to_be_had() -> None:
    named = "registry.example.org:5000/team/base:gpu@sha256:" + "c" * 64
    text = containerfile(RECIPE, named, DIGEST, Options(PYTHONS))
    assert text.count(f"FROM registry.example.org:5000/team/base@{DIGEST}") == 2


def test_beside_the_app_there_is_what_a_build_needs() -> None:
    assert list(texts(RECIPE, BASE, DIGEST, Options(PYTHONS))) == ["Containerfile", "requirements.txt", ".dockerignore"]
    lines = ignore_file().splitlines()
    assert lines[:3] == ["*", "!requirements.txt", "!app"]
    assert {"app/**/.*", "app/**/__pycache__", "app/build", "app/**/venv", "app/federation.yaml"} <= set(lines)
