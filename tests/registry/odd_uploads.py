"""A registry that keeps nothing but blobs, in memory, and takes uploads as the test wants: by the book, or not."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit


class OddUploads(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    says: dict[str, int]
    """Method → with what status each such request is answered, whatever it is."""
    breaks: list[int]
    """For each body that is to be broken off: how many of its bytes are kept before the connection is gone."""
    lies = ""
    """loses-chunks: keeps the first, and says so; small-chunks: takes none above 4 MiB; forgets: knows no session;
    mute: says nothing once it has a blob."""
    tokens: dict[str, str]
    """Method → the token that it wants."""
    asked: list[tuple[str, str, dict[str, str]]]
    sessions: dict[str, bytearray]
    blobs: dict[str, bytes]

    def do_HEAD(self) -> None:
        digest = urlsplit(self.path).path.rpartition("/")[2]
        if self._enter():
            self._answer(200 if digest in self.blobs else 404)

    def do_POST(self) -> None:
        if self._enter():
            name = str(len(self.sessions))
            self.sessions[name] = bytearray()
            self._answer(202, self._place(name))

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path == "/token":
            scope = " ".join(parse_qs(parts.query)["scope"])
            self.asked.append(("GET", self.path, dict(self.headers)))
            token = self.tokens["POST" if "push" in scope else "HEAD"]
            self._answer(200, body=f'{{"token": "{token}"}}'.encode())
        elif self._enter():
            held = self._session()
            known = held is not None and self.lies != "forgets"
            self._answer(204 if known else 404, self._range(held or bytearray()) if known else {})

    def do_PATCH(self) -> None:
        if not self._enter():
            return
        held = self._session()
        start = int(self.headers["Content-Range"].partition("-")[0])
        size = int(self.headers["Content-Length"])
        if held is None or start != len(held) or (self.lies == "small-chunks" and size > 4 * 2**20):
            self._refuse(404 if held is None else 416)
        elif self.lies == "loses-chunks" and held:
            self._read(bytearray())
            self._answer(202, self._place() | self._range(held))
        elif self._read(held):
            self._answer(202, self._place() | self._range(held))

    def do_PUT(self) -> None:
        if not self._enter():
            return
        held = self._session()
        if held is None:
            self._refuse(404)
        elif self._read(held):
            digest = parse_qs(urlsplit(self.path).query)["digest"][0]
            right = digest == f"sha256:{hashlib.sha256(held).hexdigest()}"
            if right:
                self.blobs[digest] = bytes(held)
            if self.lies == "mute":
                self.close_connection = True
                return
            self._answer(201 if right else 400)

    def _enter(self) -> bool:
        self.asked.append((self.command, self.path, dict(self.headers)))
        token = self.tokens.get(self.command, "")
        if token and self.headers.get("Authorization") != f"Bearer {token}":
            scope = "pull" if self.command in ("HEAD", "GET") else "pull,push"
            if "mount=" in self.path:  # as Docker's registry asks
                scope += " repository:other:pull"
            realm = f'realm="http://{self.headers["Host"]}/token",service="test",scope="repository:app:{scope}"'
            self._refuse(401, {"WWW-Authenticate": f"Bearer {realm}"})
            return False
        if status := self.says.get(self.command):
            self._refuse(status)
            return False
        return True

    def _session(self) -> bytearray | None:
        return self.sessions.get(parse_qs(urlsplit(self.path).query).get("session", [""])[0])

    def _place(self, name: str = "") -> dict[str, str]:
        session = name or parse_qs(urlsplit(self.path).query)["session"][0]
        return {"Location": f"../uploads/here?state=a%3Db%2F&session={session}"}  # relative, with a query of its own

    def _range(self, held: bytearray) -> dict[str, str]:
        return {"Range": f"0-{max(len(held) - 1, 0)}"}

    def _read(self, into: bytearray) -> bool:
        left = int(self.headers.get("Content-Length", 0))
        stop = self.breaks.pop(0) if self.breaks and left else None
        while left:
            piece = self.rfile.read(min(left, 2**16) if stop is None else min(left, stop, 2**16))
            into += piece
            left -= len(piece)
            if stop is not None:
                stop -= len(piece)
                if stop <= 0:
                    self.close_connection = True
                    return False
        return True

    def _refuse(self, status: int, headers: dict[str, str] | None = None) -> None:
        self._read_away()
        self._answer(status, headers)

    def _read_away(self) -> None:
        left = int(self.headers.get("Content-Length", 0))
        while left:
            left -= len(self.rfile.read(min(left, 2**20)))

    def _answer(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            if status != 204 or name != "Content-Length":
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def odd_uploads(**changes: Any) -> Iterator[tuple[str, type[OddUploads]]]:
    """Run one on the loopback interface; yield its address, and what it keeps and was asked."""
    empty: dict[str, Any] = {"says": {}, "breaks": [], "tokens": {}, "asked": [], "sessions": {}, "blobs": {}}
    handler = type("Handler", (OddUploads,), {**empty, **changes})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}", handler
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
