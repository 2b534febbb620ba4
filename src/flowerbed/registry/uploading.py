"""Giving one blob to a registry (github.com/opencontainers/distribution-spec, "Pushing Blobs").

A small one goes in one request. A larger one goes in chunks, so that a connection that breaks costs no more than one
of them. Not every registry takes chunks: some lose all but the first (aws/containers-roadmap#2831), some refuse any
that is not tiny. Where the answer to one shows it, the blob goes in one request after all, as other tools send it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO
from urllib.parse import urljoin, urlsplit, urlunsplit

import httpx2

from flowerbed.errors import RegistryError, RegistryUnreachable
from flowerbed.registry.connections import Connections
from flowerbed.registry.patience import Tries
from flowerbed.registry.pulling import Progress
from flowerbed.registry.reference import Reference
from flowerbed.registry.refusals import refused_write

CHUNK = 16 * 2**20
"""Bytes."""

_PIECE = 2**18
_RANGE = re.compile(r"(?:bytes[= ])?0-(\d+)")
_LOST = (400, 404, 416)
"""What is answered for a session that is over, or that stands elsewhere than it was thought to."""


class Upload:
    """The upload of one blob, over as many sessions as it takes.

    Parameters
    ----------
    registries : Connections
        By which it goes.
    name : str
        The image that it is part of.
    digest : str
        Which blob.
    size : int
        How many bytes it has.
    source : binary file
        Where they are.
    progress : callable
        Is told how many bytes it went forward; less than none where it has to begin again.
    """

    def __init__(
        self, registries: Connections, name: str, digest: str, size: int, source: BinaryIO, progress: Progress
    ) -> None:
        self._registries, self._name, self._digest, self._size = registries, name, digest, size
        self._source, self._progress = source, progress
        self._place = Reference.parse(name)
        self._session = ""
        self._smallest = 0
        self._at = self._shown = 0
        self._chunks = size > CHUNK
        self._doubtful = False  # whether the session went through a broken connection
        self._finishing = False
        self._tries, self._furthest = Tries(), 0

    def run(self) -> None:
        """Give it to the registry.

        Raises
        ------
        RegistryError
            If the registry does not take it.
        """
        while True:
            try:
                if self._go_on():
                    return
            except RegistryUnreachable as error:
                self._doubtful = True
                self._tries.again(error)

    def _go_on(self) -> bool:
        """Go on from where the session is; False if that leads nowhere, and another has to be started."""
        if self._finishing and self._is_there():
            self._stand(self._size)
            return True
        if not self._session or not self._chunks or not self._ask():
            self._begin()
        while self._chunks and self._size - self._at > self._chunk:
            if not self._send_chunk():
                return False
        return self._finish()

    def _is_there(self) -> bool:
        """Tell whether the registry has the blob, of which it may have broken off before it said so."""
        self._finishing = False
        url = self._place.url(f"blobs/{self._digest}")
        return self._registries.request("HEAD", url, self._name, writing=True).status_code == 200

    @property
    def _chunk(self) -> int:
        return max(CHUNK, self._smallest)

    def _begin(self) -> None:
        answer = self._registries.request("POST", self._place.url("blobs/uploads/"), self._name)
        if answer.status_code not in (201, 202):
            raise refused_write(answer, self._place, self._name)
        self._smallest = _number(answer.headers.get("OCI-Chunk-Min-Length", ""))
        self._doubtful = False
        self._session = location(answer, self._place, self._name)
        self._stand(0)

    def _ask(self) -> bool:
        """Ask the session where it is."""
        answer = self._registries.request("GET", self._session, self._name)
        at = _after(answer)
        if answer.status_code not in (200, 202, 204) or at is None or at > self._size:
            return False
        if "Location" in answer.headers:
            self._session = location(answer, self._place, self._name)
        self._stand(at)
        return True

    def _send_chunk(self) -> bool:
        end = self._at + self._chunk
        answer = self._send("PATCH", self._session, end, {"Content-Range": f"{self._at}-{end - 1}"})
        if answer.status_code == 202:
            at = _after(answer)
            if at is None or self._at < at <= end:
                self._session = location(answer, self._place, self._name)
                self._stand(end if at is None else at)
                return True
        elif answer.status_code not in (201, 405, *_LOST):
            raise refused_write(answer, self._place, self._name)
        self._give_up(answer)
        return False

    def _finish(self) -> bool:
        url = f"{self._session}{'&' if '?' in self._session else '?'}digest={self._digest}"
        where = {"Content-Range": f"{self._at}-{self._size - 1}"} if 0 < self._at < self._size else {}
        self._finishing = True
        answer = self._send("PUT", url, self._size, where)
        self._finishing = False
        if answer.is_success:
            self._stand(self._size)
            return True
        if answer.status_code not in _LOST or not (self._chunks or self._doubtful):
            raise refused_write(answer, self._place, self._name)
        self._give_up(answer)
        return False

    def _give_up(self, answer: httpx2.Response) -> None:
        """Start another session: in chunks if this one may only have been lost, and else in one request."""
        self._session = ""
        if self._doubtful:
            said = refused_write(answer, self._place, self._name)
            self._tries.again(said)
        else:
            self._chunks = False

    def _send(self, method: str, url: str, end: int, more: dict[str, str]) -> httpx2.Response:
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(end - self._at), **more}
        return self._registries.request(method, url, self._name, content=_Part(self, self._at, end), headers=headers)

    def pieces(self, start: int, end: int) -> Iterator[bytes]:
        """Yield a part of the blob, and tell of it."""
        self._source.seek(start)
        self._show(start)
        at = start
        while at < end:
            piece = self._source.read(min(_PIECE, end - at))
            if not piece:
                raise RegistryError(f"{self._digest} ends after {at} of {self._size} bytes", where=self._name)
            yield piece
            at += len(piece)
            self._show(at)

    def _stand(self, at: int) -> None:
        self._at = at
        self._show(at)
        if at > self._furthest:
            self._furthest = at
            self._tries.went_on()

    def _show(self, at: int) -> None:
        if at != self._shown:
            self._progress(at - self._shown)
            self._shown = at


class _Part:
    """A part of the blob as the body of a request, which may have to be sent again with another permission."""

    def __init__(self, upload: Upload, start: int, end: int) -> None:
        self._upload, self._start, self._end = upload, start, end

    def __iter__(self) -> Iterator[bytes]:
        return self._upload.pieces(self._start, self._end)


def location(answer: httpx2.Response, place: Reference, name: str) -> str:
    """Return where an upload goes on, as an answer has it, in full or from the request's own address.

    Raises
    ------
    RegistryError
        If it does not say.
    """
    said = answer.headers.get("Location")
    if not said:
        raise RegistryError(f"{place.host} does not say where an upload goes on", where=name)
    found = urlsplit(urljoin(str(answer.url), said))
    api = urlsplit(place.api)
    if found.scheme == "http" and api.scheme == "https" and found.hostname == api.hostname:
        # A registry behind a proxy that speaks TLS for it, and that nobody told.
        found = found._replace(scheme="https", netloc=api.netloc)
    return urlunsplit(found)


def _after(answer: httpx2.Response) -> int | None:
    """Return how many bytes a session has; None if it does not say. Nothing and one byte read the same: ``0-0``."""
    found = _RANGE.fullmatch(answer.headers.get("Range", ""))
    if found is None:
        return None
    return int(found[1]) + 1 if int(found[1]) else 0


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0
