"""Who this user is at a registry, as `docker login` and `podman login` left it.

Looked at, the first that knows the host wins: ``$REGISTRY_AUTH_FILE``, ``$DOCKER_CONFIG/config.json``,
``$XDG_RUNTIME_DIR/containers/auth.json``, ``~/.docker/config.json``
(containers-auth.json(5); docs.docker.com, "docker login", credential stores).
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flowerbed.errors import RegistryError
from flowerbed.registry.reference import HUB

_HUB_KEY = "https://index.docker.io/v1/"
"""Under which Docker keeps the login to its own registry."""

_HELPER_SECONDS = 60.0
_TOKEN_USER = "<token>"  # noqa: S105 - what helpers say instead of a name when the secret is an identity token


@dataclass(frozen=True)
class Credentials:
    """A login.

    Parameters
    ----------
    user, password : str
        As they were typed; empty with an identity token.
    identity_token : str
        What the registry gave instead of keeping the password.
    """

    user: str = ""
    password: str = ""
    identity_token: str = ""

    def __repr__(self) -> str:
        """Leave the secret out."""
        return f"Credentials(user={self.user!r})"


def credentials(host: str, environment: Mapping[str, str]) -> Credentials | None:
    """Return the login for a registry; None where there is none.

    Raises
    ------
    RegistryError
        If a file is damaged, or the helper that it names fails.
    """
    for file in _files(environment):
        try:
            config = json.loads(file.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue
        except ValueError as error:
            raise RegistryError(f"is no JSON: {error}", where=str(file), hint="Log in again.") from None
        found = _in_config(config if isinstance(config, dict) else {}, host, str(file), environment)
        if found is not None:
            return found
    return None


def _files(environment: Mapping[str, str]) -> Iterator[Path]:
    if named := environment.get("REGISTRY_AUTH_FILE"):
        yield Path(named)
    if folder := environment.get("DOCKER_CONFIG"):
        yield Path(folder) / "config.json"
    if runtime := environment.get("XDG_RUNTIME_DIR"):
        yield Path(runtime) / "containers" / "auth.json"
    if not folder and (home := environment.get("HOME")):
        yield Path(home) / ".docker" / "config.json"


def _in_config(config: dict[str, Any], host: str, file: str, environment: Mapping[str, str]) -> Credentials | None:
    keys = (_HUB_KEY, HUB) if host == HUB else (host, f"https://{host}", f"https://{host}/v2/")
    helpers = config.get("credHelpers") or {}
    helper = next((helpers[key] for key in keys if key in helpers), config.get("credsStore"))
    logins = config.get("auths") or {}
    login = next((logins[key] for key in keys if key in logins), None)
    if helper and (login is not None or any(key in helpers for key in keys)):
        return _ask(str(helper), keys[0], file, environment)
    if not isinstance(login, dict):
        return None
    if token := login.get("identitytoken"):
        return Credentials(identity_token=str(token))
    try:
        user, colon, password = base64.b64decode(str(login.get("auth") or ""), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        colon = ""
    if not colon:
        raise RegistryError(
            f"the login to {host} is damaged", where=file, hint=f"`docker login {host}` writes it anew."
        )
    return Credentials(user, password)


def _ask(helper: str, key: str, file: str, environment: Mapping[str, str]) -> Credentials | None:
    program = f"docker-credential-{helper}"
    found = shutil.which(program, path=environment.get("PATH", os.defpath))
    if found is None:
        raise RegistryError(f"there is no program {program}, which the file names", where=file)
    try:
        done = subprocess.run(
            [found, "get"],
            input=key,
            capture_output=True,
            text=True,
            timeout=_HELPER_SECONDS,
            check=False,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        raise RegistryError(f"{program} did not answer within {_HELPER_SECONDS:g} s", where=file) from None
    if done.returncode != 0:
        if "credentials not found" in done.stdout + done.stderr:
            return None
        raise RegistryError(f"{program} failed: {(done.stderr or done.stdout).strip()[-300:]}", where=file)
    try:
        answer = json.loads(done.stdout)
        user, secret = str(answer["Username"]), str(answer["Secret"])
    except (ValueError, KeyError, TypeError):
        raise RegistryError(f"{program} did not answer with a login", where=file) from None
    return Credentials(identity_token=secret) if user == _TOKEN_USER else Credentials(user, secret)
