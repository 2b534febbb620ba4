"""Asking a registry what a name stands for (github.com/opencontainers/distribution-spec)."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx2

from flowerbed.errors import RegistryError
from flowerbed.registry.credentials import Credentials, credentials
from flowerbed.registry.reference import Reference, is_loopback

MANIFESTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
"""An index of several platforms before an image of one, so that one digest serves every node."""

SECONDS = 30.0
_LARGEST = 4 * 2**20  # bytes of a manifest; the specification has registries take no larger ones
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class Registries:
    """All registries, with one pool of connections; a login is looked for when one asks for it.

    Parameters
    ----------
    environment : mapping of str to str or None
        Where logins are found; this process's own without it.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = os.environ if environment is None else environment
        self._http = httpx2.Client(timeout=SECONDS, follow_redirects=True)
        self._allowed: dict[tuple[str, str], str] = {}

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def digest(self, name: str) -> str:
        """Return the digest, ``sha256:…``, that an image's name stands for now; one that has a digest must exist.

        Raises
        ------
        RegistryError
            If there is no such image, it may not be read, or the registry does not answer.
        """
        place = Reference.parse(name)
        url = f"{place.api}/{place.repository}/manifests/{place.digest or place.tag}"
        answer = self._ask("HEAD", url, place, name)
        if answer.status_code in (404, 405):  # some proxies know no HEAD
            answer = self._ask("GET", url, place, name)
        if answer.status_code != 200:
            raise _refused(answer, place, name)
        told = answer.headers.get("Docker-Content-Digest", "")
        if not _DIGEST.fullmatch(told):
            body = answer.content or self._ask("GET", url, place, name).content
            if not body or len(body) > _LARGEST:
                raise RegistryError(f"{place.host} does not tell what {name} is", where=name)
            told = f"sha256:{hashlib.sha256(body).hexdigest()}"
        if place.digest is not None and told != place.digest:
            raise RegistryError(f"{place.host} answers with {told} instead", where=name)
        return str(told)

    def manifest(self, name: str, reference: str) -> dict[str, Any] | None:
        """Return the manifest beside an image that a tag or a digest stands for; None if there is none.

        Raises
        ------
        RegistryError
            If it may not be read, is not what its digest says, or the registry does not answer.
        """
        place = Reference.parse(name)
        body = self._content(f"{place.api}/{place.repository}/manifests/{reference}", place, name)
        return None if body is None else _object(_checked(body, reference, place, name), name)

    def blob(self, name: str, digest: str) -> bytes | None:
        """Return a blob of an image's repository, a small one; None if there is none.

        Raises
        ------
        RegistryError
            If it may not be read, is not what its digest says, or the registry does not answer.
        """
        place = Reference.parse(name)
        body = self._content(f"{place.api}/{place.repository}/blobs/{digest}", place, name)
        return None if body is None else _checked(body, digest, place, name)

    def referrers(self, name: str, digest: str) -> list[dict[str, Any]]:
        """Return the descriptors of what refers to a manifest (opencontainers/distribution-spec, "Listing Referrers").

        A registry that does not have that request keeps them under a tag made of the digest.

        Raises
        ------
        RegistryError
            If they may not be read, or the registry does not answer.
        """
        place = Reference.parse(name)
        body = self._content(f"{place.api}/{place.repository}/referrers/{digest}", place, name)
        index = self.manifest(name, digest.replace(":", "-")) if body is None else _object(body, name)
        found = (index or {}).get("manifests")
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []

    def _content(self, url: str, place: Reference, name: str) -> bytes | None:
        answer = self._ask("GET", url, place, name)
        if answer.status_code == 404:
            return None
        if answer.status_code != 200:
            raise _refused(answer, place, name)
        if len(answer.content) > _LARGEST:
            raise RegistryError(f"{place.host} answers with {len(answer.content)} bytes, too many", where=name)
        return answer.content

    def _ask(self, method: str, url: str, place: Reference, name: str) -> httpx2.Response:
        key = (place.host, place.repository)
        with _told(place, name):
            answer = self._send(method, url, self._allowed.get(key, ""))
            if answer.status_code == 401:
                self._allowed[key] = self._permission(answer.headers.get("WWW-Authenticate", ""), place, name)
                answer = self._send(method, url, self._allowed[key])
        return answer

    def _send(self, method: str, url: str, allowed: str) -> httpx2.Response:
        headers = {"Accept": ", ".join(MANIFESTS), **({"Authorization": allowed} if allowed else {})}
        return self._http.request(method, url, headers=headers)

    def _permission(self, challenge: str, place: Reference, name: str) -> str:
        """Return the header that a challenge asks for (distribution.github.io, "Token Authentication")."""
        login = credentials(place.host, self._environment)
        scheme, _, rest = challenge.partition(" ")
        asked = dict(_CHALLENGE.findall(rest))
        if scheme.lower() == "basic":
            if login is None:
                raise _no_login(place, name)
            pair = f"{login.user}:{login.password}".encode()
            return f"Basic {base64.b64encode(pair).decode()}"
        realm = httpx2.URL(asked.get("realm", ""))
        if scheme.lower() != "bearer" or not realm.host:
            raise RegistryError(f"{place.host} asks for a login in a way that is not known: {scheme}", where=name)
        if realm.scheme != "https" and not is_loopback(realm.netloc.decode()):
            raise RegistryError(f"{place.host} asks for the login to be sent unencrypted, to {realm.host}", where=name)
        return f"Bearer {self._token(realm, asked, login, place, name)}"

    def _token(
        self, realm: httpx2.URL, asked: Mapping[str, str], login: Credentials | None, place: Reference, name: str
    ) -> str:
        wanted = {key: asked[key] for key in ("service", "scope") if key in asked}
        wanted.setdefault("scope", f"repository:{place.repository}:pull")
        if login is not None and login.identity_token:
            form = {
                **wanted,
                "grant_type": "refresh_token",
                "client_id": "flowerbed",
                "refresh_token": login.identity_token,
            }
            answer = self._http.post(realm, data=form)
        else:
            auth = None if login is None else httpx2.BasicAuth(login.user, login.password)
            answer = self._http.get(realm.copy_merge_params(wanted), auth=auth)
        said = _json(answer)
        token = said.get("token") or said.get("access_token")
        if answer.status_code != 200 or not token:
            raise _no_login(place, name) if login is None else _bad_login(place, name)
        return str(token)


@contextmanager
def _told(place: Reference, name: str) -> Iterator[None]:
    """Turn what the network does into an error of ours."""
    try:
        yield
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        said = str(error) or type(error).__name__
        hint = "Is it reachable from here, and is its certificate one that this machine trusts?"
        raise RegistryError(f"{place.host} does not answer: {said}", where=name, hint=hint) from error


def _checked(body: bytes, reference: str, place: Reference, name: str) -> bytes:
    if _DIGEST.fullmatch(reference) and f"sha256:{hashlib.sha256(body).hexdigest()}" != reference:
        raise RegistryError(f"{place.host} answers with something else than {reference}", where=name)
    return body


def _object(body: bytes, name: str) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise RegistryError("a manifest is no JSON object", where=name)
    return found


def _refused(answer: httpx2.Response, place: Reference, name: str) -> RegistryError:
    if answer.status_code == 404:
        hint = "Push it, or correct its name in the federation file."
        return RegistryError(f"there is no such image at {place.host}", where=name, hint=hint)
    if answer.status_code in (401, 403):
        return _bad_login(place, name)
    if answer.status_code == 429:
        hint = "Wait, or log in: registries give more to whom they know."
        return RegistryError(f"{place.host} has been asked too often", where=name, hint=hint)
    errors = _json(answer).get("errors") or [{}]
    said = errors[0].get("message") if isinstance(errors, list) and isinstance(errors[0], dict) else ""
    return RegistryError(f"{place.host} answers with {answer.status_code} {said or answer.reason_phrase}", where=name)


def _no_login(place: Reference, name: str) -> RegistryError:
    return RegistryError(
        f"{place.host} gives it only to those who log in, or does not have it",
        where=name,
        hint=f"Log in with `docker login {place.host}` or `podman login {place.host}`.",
    )


def _bad_login(place: Reference, name: str) -> RegistryError:
    return RegistryError(
        f"{place.host} does not let this login read it",
        where=name,
        hint=f"`docker login {place.host}` with one that may, or correct the image's name.",
    )


def _json(answer: httpx2.Response) -> dict[str, Any]:
    try:
        said = answer.json()
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
