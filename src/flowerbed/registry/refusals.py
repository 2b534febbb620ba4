"""What registries answer when they do not do what they were asked, as errors that say what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2

from flowerbed.errors import RegistryError, RegistryUnreachable
from flowerbed.registry.reference import Reference

_BUSY = (429, 500, 502, 503, 504)
"""What a registry, or what stands before it, answers that may not answer so a moment later."""

_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE")
"""What OpenSSL says, older and newer, where the other side answers without TLS."""


@contextmanager
def told(place: Reference, name: str) -> Iterator[None]:
    """Turn what the network does into an error of ours."""
    try:
        yield
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        said = str(error) or type(error).__name__
        hint = "Is it reachable from here, and is its certificate one that this machine trusts?"
        if any(sign in said for sign in _NO_TLS):
            hint = "It seems to speak plain HTTP, which is spoken to localhost alone: give it a certificate."
        raise RegistryUnreachable(f"{place.host} does not answer: {said}", where=name, hint=hint) from error


def refused(answer: httpx2.Response, place: Reference, name: str) -> RegistryError:
    """Return the error for an answer to who wants to read."""
    if answer.status_code == 404:
        hint = "Push it, or correct its name in the federation file."
        return RegistryError(f"there is no such image at {place.host}", where=name, hint=hint)
    if answer.status_code in (401, 403):
        return bad_login(place, name)
    return _other(answer, place, name)


def refused_write(answer: httpx2.Response, place: Reference, name: str) -> RegistryError:
    """Return the error for an answer to who wants to write."""
    if answer.status_code == 404:
        hint = "Some registries want a repository to be made before something is pushed to it."
        return RegistryError(f"{place.host} knows no repository {place.repository}", where=name, hint=hint)
    if answer.status_code in (401, 403):
        return bad_login(place, name, writing=True)
    if answer.status_code == 405:
        return RegistryError(f"{place.host} can only be read from", where=name, hint="Name one that takes images.")
    if answer.status_code == 413:
        hint = "Is there a proxy before it that limits the size of requests? It has to let images through."
        return RegistryError(f"{place.host} refuses that much at once", where=name, hint=hint)
    if answer.status_code == 507:
        return RegistryError(f"{place.host} has no space left", where=name, hint="Make room there.")
    return _other(answer, place, name)


def _other(answer: httpx2.Response, place: Reference, name: str) -> RegistryError:
    kind = RegistryUnreachable if answer.status_code in _BUSY else RegistryError
    if answer.status_code == 429:
        hint = "Wait, or log in: registries give more to whom they know."
        return kind(f"{place.host} has been asked too often", where=name, hint=hint)
    errors = json_of(answer).get("errors") or [{}]
    said = errors[0].get("message") if isinstance(errors, list) and isinstance(errors[0], dict) else ""
    return kind(f"{place.host} answers with {answer.status_code} {said or answer.reason_phrase}", where=name)


def no_login(place: Reference, name: str, *, writing: bool = False) -> RegistryError:
    """Return the error for who asks without a login, and needs one."""
    what = "takes images only from" if writing else "gives it only to"
    return RegistryError(
        f"{place.host} {what} those who log in{'' if writing else ', or does not have it'}",
        where=name,
        hint=f"Log in with `docker login {place.host}` or `podman login {place.host}`.",
    )


def bad_login(place: Reference, name: str, *, writing: bool = False) -> RegistryError:
    """Return the error for who asks with a login that is not enough."""
    return RegistryError(
        f"{place.host} does not let this login {f'write to {place.repository}' if writing else 'read it'}",
        where=name,
        hint=f"`docker login {place.host}` with one that may, or correct the image's name.",
    )


def json_of(answer: httpx2.Response) -> dict[str, Any]:
    """Return the object that an answer holds; empty if it holds none."""
    try:
        said = answer.json()
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
