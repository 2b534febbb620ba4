"""When a unit is ready: conditions that are looked at until each has held once.

What has held once is not asked again. A unit that is ready stays ready until it ends, for nothing is won by taking
it back: no Service leads to a SuperNode, releases that speak HTTP have no connection between two requests, and a
SuperLink that is restarted would make every SuperNode unready although each of them only dials again. Whether
SuperNodes are online *now* is the SuperLink's to say. A SuperLink that answered once and is slow now is not to
lose its Service's endpoint either, which would make it unreachable for everyone.

Standard library only.
"""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from flowerbed_inside import proc
from flowerbed_inside.unit import first_request
from flowerbed_inside.unit.programs import of_ours

DIALECTS = ("grpc122", "grpc", "http")
LOOPBACK = "127.0.0.1"

_POLL = 0.05  # seconds between two looks at a port that does not listen yet
_AGAIN = 0.5  # seconds until a SuperLink that did not answer is asked again
_PATIENCE = 20.0  # seconds for one answer


class Condition(Protocol):
    """Something that has to have held once."""

    waiting: str
    """What is waited for, in words."""

    def holds(self) -> bool:
        """Look."""


class Listening:
    """Something listens on a port."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.waiting = f"nothing listens on port {port} yet"

    def holds(self) -> bool:
        """Look."""
        return proc.listens(self._port)


class Connected:
    """A program, or a process below it, holds a TCP connection to a port.

    Only the port is compared: the address in the kernel's table is what the host's name stood for when it was
    dialled.

    Parameters
    ----------
    name : str
        The program.
    address : str
        ``host:port``.
    tree : callable
        Returns the program's processes.
    """

    def __init__(self, name: str, address: str, tree: Callable[[str], list[int]]) -> None:
        self._name = name
        self._port = int(address.rpartition(":")[2])
        self._tree = tree
        self.waiting = f"{name} is not connected to {address} yet"

    def holds(self) -> bool:
        """Look."""
        return proc.connected(self._tree(self._name), self._port)


class Answered:
    """The SuperLink has answered one request of the Control API; asked from a thread of its own.

    One, and nobody else's before it: up to 1.27 a SuperLink makes its database at its first request, and several at
    once break it on 1.26 and 1.27 (see the launcher). Where it speaks gRPC, a process of its own asks
    (`first_request`), for gRPC in this one would outlive its use.

    Parameters
    ----------
    dialect : str
        How it is spoken to.
    port : int
        Where, on this machine.
    authority : Path or None
        Whom to trust, if it is spoken to over TLS.
    """

    def __init__(self, dialect: str, port: int, authority: Path | None = None) -> None:
        self._dialect = dialect
        self._port = port
        self._authority = authority
        self._answered = False
        self.waiting = f"the SuperLink has not answered a request at port {port} yet"
        threading.Thread(target=self._ask_until_answered, name="ready-request", daemon=True).start()

    def holds(self) -> bool:
        """Look."""
        return self._answered

    def _ask_until_answered(self) -> None:
        ask = self._ask_http if self._dialect == "http" else self._ask_grpc
        while not self._answered:
            try:
                self._answered = ask()
            except (OSError, ValueError) as error:
                print(f"[flowerbed: asking the SuperLink failed: {error}]", flush=True)
            if not self._answered:
                time.sleep(_AGAIN)

    def _wait_until_it_listens(self) -> None:
        while not proc.listens(self._port):
            time.sleep(_POLL)

    def _ask_http(self) -> bool:
        self._wait_until_it_listens()
        try:
            with self._connected() as wire:
                wire.sendall(f"GET / HTTP/1.1\r\nHost: {LOOPBACK}:{self._port}\r\nConnection: close\r\n\r\n".encode())
                return wire.recv(16).startswith(b"HTTP/")  # that it answers counts, not what
        except OSError:
            return False

    def _connected(self) -> socket.socket:
        wire = socket.create_connection((LOOPBACK, self._port), timeout=_PATIENCE)
        if self._authority is None:
            return wire
        return ssl.create_default_context(cafile=self._authority).wrap_socket(wire, server_hostname=LOOPBACK)

    def _ask_grpc(self) -> bool:
        self._wait_until_it_listens()
        trusted = [str(self._authority)] if self._authority is not None else []
        asking = subprocess.Popen(
            [*of_ours("unit.first_request"), f"{LOOPBACK}:{self._port}", *trusted],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        asking.returncode = 0  # the unit reaps all its children; Popen must not try it too
        assert asking.stdout is not None  # noqa: S101
        with asking.stdout as answer:
            return first_request.ANSWERED.encode() in answer.read()
