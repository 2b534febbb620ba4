"""A cable to a registry: it is cut after so many bytes, and what passes is written down."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from free_ports import free_port


@dataclass
class Cable:
    """Stands before a registry, at an address of its own.

    `cuts` has, for each time that it is to be cut, after how many bytes on their way `up` (to the registry) or down.
    Once cut, the connection is gone, and the next one begins with the next cut.
    """

    address: str
    up: list[int] = field(default_factory=list)
    down: list[int] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    at_cut: Callable[[], object] = lambda: None
    sent: int = 0
    """How many bytes went up."""
    received: int = 0
    """How many came down."""

    def requests(self, method: str) -> list[str]:
        return [line for line in self.asked if line.startswith(f"{method} ")]

    def pass_on(self, source: socket.socket, target: socket.socket, *, up: bool) -> None:
        cuts, passed = self.up if up else self.down, 0
        with suppress(OSError):
            while data := source.recv(2**16):
                if up:
                    self._note(data)
                    self.sent += len(data)
                else:
                    self.received += len(data)
                passed += len(data)
                if cuts and passed > cuts[0]:
                    target.sendall(data[: len(data) - (passed - cuts[0])])
                    cuts.pop(0)
                    self.at_cut()
                    break
                target.sendall(data)
            else:
                target.shutdown(socket.SHUT_WR)
                return
        if not up:  # what is on its way to who receives still gets there
            with suppress(OSError):
                target.shutdown(socket.SHUT_WR)
                source.shutdown(socket.SHUT_RDWR)
            return
        for one in (source, target):  # who sends hears of it at once
            with suppress(OSError):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                one.shutdown(socket.SHUT_RDWR)
                one.close()

    def _note(self, data: bytes) -> None:
        line = data[:2000].partition(b"\r\n")[0]
        if line.endswith(b" HTTP/1.1"):
            self.asked.append(line.decode().removesuffix(" HTTP/1.1"))


@contextmanager
def cable(registry: str) -> Iterator[Cable]:
    """Put a cable before a registry."""
    made = Cable(f"127.0.0.1:{free_port()}")
    host, _, port = made.address.partition(":")
    ends: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection((registry.partition(":")[0], int(registry.partition(":")[2])))
            except OSError:
                near.close()
                continue
            ends.extend((near, far))
            for source, target, up in ((near, far, True), (far, near, False)):
                thread = threading.Thread(target=made.pass_on, args=(source, target), kwargs={"up": up})
                threads.append(thread)
                thread.start()

    with socket.create_server((host, int(port))) as listener:
        server = threading.Thread(target=serve, args=(listener,))
        server.start()
        try:
            yield made
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            server.join()
            for end in ends:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()
            for end in ends:
                end.close()
