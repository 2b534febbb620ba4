"""Logins are found where Docker and Podman leave them."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from flowerbed.errors import RegistryError
from flowerbed.registry.credentials import Credentials, credentials

ANN = {"auth": base64.b64encode(b"ann:se:cret").decode()}


def docker(tmp_path: Path, config: object, **more: str) -> dict[str, str]:
    (tmp_path / "config.json").write_text(json.dumps(config))
    return {"DOCKER_CONFIG": str(tmp_path), "PATH": os.environ["PATH"], **more}


@pytest.mark.parametrize(
    ("config", "host", "login"),
    [
        ({"auths": {"registry.example": ANN}}, "registry.example", Credentials("ann", "se:cret")),
        ({"auths": {"https://registry.example": ANN}}, "registry.example", Credentials("ann", "se:cret")),
        ({"auths": {"https://index.docker.io/v1/": ANN}}, "docker.io", Credentials("ann", "se:cret")),
        ({"auths": {"registry.example": {"identitytoken": "t"}}}, "registry.example", Credentials("", "", "t")),
        ({"auths": {"registry.example": ANN}}, "other.example", None),
        ({"auths": {}}, "registry.example", None),
        ({}, "registry.example", None),
        ([], "registry.example", None),
    ],
)
def test_a_login_in_a_file(tmp_path: Path, config: Any, host: str, login: Credentials | None) -> None:
    assert credentials(host, docker(tmp_path, config)) == login


def test_no_file_is_no_login(tmp_path: Path) -> None:
    assert credentials("registry.example", {"HOME": str(tmp_path)}) is None
    assert credentials("registry.example", {}) is None


def test_podmans_file_goes_first(tmp_path: Path) -> None:
    (tmp_path / "auth.json").write_text(json.dumps({"auths": {"registry.example": ANN}}))
    environment = docker(tmp_path, {"auths": {"registry.example": {"identitytoken": "other"}}})
    environment["REGISTRY_AUTH_FILE"] = str(tmp_path / "auth.json")
    assert credentials("registry.example", environment) == Credentials("ann", "se:cret")


def helper(tmp_path: Path, script: str) -> dict[str, str]:
    program = tmp_path / "docker-credential-test"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    environment = docker(tmp_path, {"credHelpers": {"registry.example": "test"}})
    return environment | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}


@pytest.mark.parametrize(
    ("script", "login"),
    [
        ("""read host; echo '{"Username": "ann", "Secret": "'$host'"}'""", Credentials("ann", "registry.example")),
        ("""echo '{"Username": "<token>", "Secret": "t"}'""", Credentials("", "", "t")),
        ("echo 'credentials not found in native keychain'; exit 1", None),
    ],
)
def test_a_helper_is_asked(tmp_path: Path, script: str, login: Credentials | None) -> None:
    assert credentials("registry.example", helper(tmp_path, script)) == login


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo locked >&2; exit 2", "docker-credential-test failed: locked"),
        ("echo hello", "docker-credential-test did not answer with a login"),
    ],
)
def test_a_helper_that_fails(tmp_path: Path, script: str, why: str) -> None:
    with pytest.raises(RegistryError, match=why):
        credentials("registry.example", helper(tmp_path, script))


def test_a_helper_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="there is no program docker-credential-none, which the file names"):
        credentials("registry.example", docker(tmp_path, {"credHelpers": {"registry.example": "none"}}))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "is no JSON"),
        ('{"auths": {"registry.example": {"auth": "%%"}}}', "the login to registry.example is damaged"),
        ('{"auths": {"registry.example": {"auth": "YW5u"}}}', "the login to registry.example is damaged"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(RegistryError, match=why) as caught:
        credentials("registry.example", {"DOCKER_CONFIG": str(tmp_path)})
    assert caught.value.where == str(tmp_path / "config.json")


def test_a_login_does_not_print_its_secret() -> None:
    assert "se:cret" not in f"{Credentials('ann', 'se:cret', 'token')!r}"
