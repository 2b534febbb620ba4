"""A program in a Pod with its standard streams, over the WebSocket that ``pods/exec`` opens.

The API server multiplexes the streams in one WebSocket: the first byte of each message is the channel
(`k8s.io/apimachinery/pkg/util/remotecommand/constants.go`; ``v5.channel.k8s.io`` since Kubernetes 1.29 can
also close standard input, ``v4`` cannot).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, ClassVar, Final

STDIN: Final = 0
STDOUT: Final = 1
STDERR: Final = 2
STATUS: Final = 3
CLOSE: Final = 255

CHUNK_BYTES: Final = 64 * 2**10

NOT_STARTED: Final = -1
"""Instead of the exit status of a program that could not be started."""


class ExecStream:
    """The streams of one program.

    Parameters
    ----------
    socket : WebSocketSession
        An open one, from ``pods/exec``.
    """

    PROTOCOLS: ClassVar = ("v5.channel.k8s.io", "v4.channel.k8s.io")

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self.exit_code: int | None = None
        self.errors = b""

    def write(self, data: bytes) -> None:
        """Write to the program's standard input."""
        for start in range(0, len(data), CHUNK_BYTES):
            self._socket.send_bytes(bytes([STDIN]) + data[start : start + CHUNK_BYTES])

    def close_input(self) -> None:
        """Close standard input, where the API server can."""
        if self._socket.subprotocol == self.PROTOCOLS[0]:
            self._socket.send_bytes(bytes([CLOSE, STDIN]))

    def hang_up(self) -> None:
        """Close the connection; the program sees the end of its standard input."""
        with suppress(Exception):  # it may be closed already, in many ways
            self._socket.close()

    def read(self) -> Iterator[bytes]:
        """Give what the program writes to standard output, to its end; `exit_code` and `errors` then tell the rest."""
        while self.exit_code is None:
            message = self._socket.receive_bytes()
            if not message:
                continue
            channel, data = message[0], message[1:]
            if channel == STDOUT:
                if data:
                    yield data
            elif channel == STDERR:
                self.errors = (self.errors + data)[-CHUNK_BYTES:]
            elif channel == STATUS:
                self.exit_code = exit_code(json.loads(data))
                if self.exit_code < 0:
                    self.errors += str(json.loads(data).get("message", "")).encode()

    def lines(self) -> Iterator[bytes]:
        """Give standard output line by line."""
        rest = b""
        for data in self.read():
            *whole, rest = (rest + data).split(b"\n")
            yield from whole
        if rest:
            yield rest


def exit_code(status: dict[str, Any]) -> int:
    """Return the exit status that a ``Status`` of the last channel tells, or `NOT_STARTED`."""
    if status.get("status") == "Success":
        return 0
    for cause in (status.get("details") or {}).get("causes") or []:
        if cause.get("reason") == "ExitCode":
            return int(cause.get("message") or 1)
    return NOT_STARTED
