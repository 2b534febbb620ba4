"""Requests to registries, each with the permission that the registry asks for."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx2

from flowerbed.errors import RegistryError
from flowerbed.registry.permission import Permissions
from flowerbed.registry.reference import Reference, is_loopback
from flowerbed.registry.refusals import told

SECONDS = 30.0
WRITE_SECONDS = 600.0
"""How long a registry may think about what it was given: some copy a layer of gigabytes before they answer."""

_READS = ("GET", "HEAD")


class Connections:
    """One pool of connections to all registries; a login is looked for when one asks for it.

    Parameters
    ----------
    environment : mapping of str to str or None
        Where logins are found; this process's own without it.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        # Without cookies, as other tools ask: with the one that Harbor sets it takes a push for a forged click.
        none = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
        self._http = httpx2.Client(timeout=SECONDS, follow_redirects=True, cookies=none)
        self._permissions = Permissions(self._http, os.environ if environment is None else environment)
        self._allowed: dict[tuple[str, str], str] = {}

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    @contextmanager
    def stream(
        self,
        method: str,
        url: str,
        name: str,
        *,
        content: bytes | Iterable[bytes] = b"",
        headers: Mapping[str, str] | None = None,
        writing: bool | None = None,
    ) -> Iterator[httpx2.Response]:
        """Make a request with the permission that the registry asks for, and give its answer before its body is read.

        Parameters
        ----------
        method, url : str
            The request. A URL on another host, where a registry may send uploads, gets no permission.
        name : str
            The image, as the user named it.
        content : bytes or iterable of bytes
            The body. It may be sent twice, so an iterable has to begin anew each time.
        headers : mapping of str to str or None
            More of them.
        writing : bool or None
            Whether it is part of writing, for errors to say so; without it the method tells.

        Raises
        ------
        RegistryUnreachable
            If there is no answer, or the connection breaks while it is read.
        RegistryError
            If the login is not enough.
        """
        place = Reference.parse(name)
        key = (place.host, place.repository)
        writing = method not in _READS if writing is None else writing
        ours = _origin(url) == _origin(place.api)
        if not ours and httpx2.URL(url).scheme != "https" and not is_loopback(httpx2.URL(url).netloc.decode()):
            raise RegistryError(f"{place.host} wants it to be sent unencrypted, to {httpx2.URL(url).host}", where=name)

        def send() -> httpx2.Response:
            allowed = self._allowed.get(key) if ours else None
            more = {"Authorization": allowed} if allowed else {}
            wait = httpx2.Timeout(SECONDS, read=WRITE_SECONDS) if writing else httpx2.Timeout(SECONDS)
            body = content or (b"" if writing else None)
            request = self._http.build_request(
                method, url, content=body, headers={**(headers or {}), **more}, timeout=wait
            )
            return self._http.send(request, stream=True)

        with told(place, name):
            answer = send()
            try:
                if answer.status_code == 401 and ours:
                    answer.close()
                    challenge = answer.headers.get("WWW-Authenticate", "")
                    self._allowed[key] = self._permissions.asked(challenge, place, name, writing=writing)
                    answer = send()
                yield answer
            finally:
                answer.close()

    def request(
        self,
        method: str,
        url: str,
        name: str,
        *,
        content: bytes | Iterable[bytes] = b"",
        headers: Mapping[str, str] | None = None,
        writing: bool | None = None,
    ) -> httpx2.Response:
        """Do the same for an answer that is small, which is read.

        Raises
        ------
        RegistryError
            As `stream` does.
        """
        with self.stream(method, url, name, content=content, headers=headers, writing=writing) as answer:
            answer.read()
            return answer


def _origin(url: str) -> tuple[str, str, int | None]:
    parsed = httpx2.URL(url)
    return parsed.scheme, parsed.host, parsed.port
