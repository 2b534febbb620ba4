"""A little HTTP server that answers the probes of a Pod: ``GET /ready`` and ``GET /live``.

``GET /ready?wait=SECONDS`` answers when it is ready, or after so long. A kubelet looks once a second at most; one that
waits for its answer knows at once, and so does everybody whom the Pod's Service keeps waiting.

Standard library only, and little of that. ``http.server`` alone would
take 5 MB, because it brings e-mail and TLS.
"""

from __future__ import annotations

import re
import socket
import socketserver
import threading
import time
from collections.abc import Callable

Answer = Callable[[], tuple[bool, str]]
"""Whether it is so, and why."""

_LONGEST_WAIT = 60.0
_POLL = 0.05
_TIMEOUT = 5.0  # seconds for one request; a client that says nothing does not keep a thread


class _Handler(socketserver.StreamRequestHandler):
    timeout = _TIMEOUT

    def handle(self) -> None:
        try:
            request = self.rfile.readline(8192).split()
            while self.rfile.readline(8192).strip():  # headers: nothing in them matters
                continue
            path, _, query = request[1].decode("latin-1").partition("?") if len(request) > 1 else ("", "", "")
            answer = self.server.answers.get(path)  # type: ignore[attr-defined]
            if answer is None:
                self._send("404 Not Found", "there is /ready and /live")
            else:
                good, text = _answer_within(answer, _wait(query))
                self._send("200 OK" if good else "503 Service Unavailable", text)
        except OSError:  # the other side went away, or said nothing
            pass

    def _send(self, status: str, text: str) -> None:
        body = f"{text}\n".encode()
        head = (
            f"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        self.wfile.write(head.encode() + body)


def _wait(query: str) -> float:
    """Return the seconds that a query asks to wait; whatever else it says is left alone."""
    found = re.fullmatch(r"wait=(\d+(\.\d+)?)", query)
    return min(float(found[1]), _LONGEST_WAIT) if found else 0.0


def _answer_within(answer: Answer, seconds: float) -> tuple[bool, str]:
    until = time.monotonic() + seconds
    while True:
        good, text = answer()
        if good or time.monotonic() >= until:
            return good, text
        time.sleep(_POLL)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 16

    def __init__(self, port: int, answers: dict[str, Answer], *, dual: bool) -> None:
        self.address_family = socket.AF_INET6 if dual else socket.AF_INET
        self.answers = answers
        super().__init__(("::" if dual else "0.0.0.0", port), _Handler)  # noqa: S104 - the kubelet asks from outside

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


def serve(port: int, answers: dict[str, Answer]) -> None:
    """Answer, in threads, at a port of every address: IPv6 and IPv4 where there is IPv6, else IPv4.

    Parameters
    ----------
    port : int
        The port.
    answers : dict of str to callable
        What each path tells.

    Raises
    ------
    OSError
        If the port is taken.
    """
    try:
        server = _Server(port, answers, dual=True)
    except OSError:  # no IPv6 here, or a port that is taken: then it is taken for IPv4 too
        server = _Server(port, answers, dual=False)
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
