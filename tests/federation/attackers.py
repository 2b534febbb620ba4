"""What somebody does to a SuperLink who reaches it and has no business there: on loopback, bounded in size and time."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from federation.beds import Bed

IDLE = 100
GARBAGE = bytes(range(256)) * 40 * 1024  # 10 MiB
LORIS = b"POST /v1/fleet/pull-messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n"
LORIS_SECONDS = 0.2
SEND_SECONDS = 5.0


@contextmanager
def idle_connections(address: tuple[str, int]) -> Iterator[None]:
    """Hold many connections that say nothing: half of them after a TLS handshake."""
    with ExitStack() as held:
        for number in range(IDLE):
            raw = held.enter_context(socket.create_connection(address, timeout=SEND_SECONDS))
            if number % 2:
                held.enter_context(_tls(raw))
        yield


@contextmanager
def slow_loris(address: tuple[str, int]) -> Iterator[None]:
    """Send a request's head byte by byte over TLS, and a TLS handshake so, until the end."""
    ended = threading.Event()

    def drip(wire: socket.socket, text: bytes) -> None:
        for byte in text:
            try:
                wire.sendall(bytes([byte]))
            except OSError:  # it was put out, which is as good
                return
            if ended.wait(LORIS_SECONDS):
                return

    with ExitStack() as held:
        raw = held.enter_context(socket.create_connection(address, timeout=SEND_SECONDS))
        greeted = held.enter_context(_tls(held.enter_context(socket.create_connection(address, timeout=SEND_SECONDS))))
        threads = [
            threading.Thread(target=drip, args=(raw, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500))),
            threading.Thread(target=drip, args=(greeted, LORIS * 10)),
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            ended.set()
            for thread in threads:
                thread.join()


def garbage(address: tuple[str, int]) -> None:
    """Send 10 MB of nothing sensible: plainly, over TLS, and as what a SuperNode could have sent."""
    head = (
        b"POST /v1/fleet/push-messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/protobuf\r\n"
        + f"Content-Length: {len(GARBAGE)}\r\n\r\n".encode()
    )

    def send(text: bytes, *, over_tls: bool) -> None:
        raw = socket.create_connection(address, timeout=SEND_SECONDS)
        with (
            contextlib.suppress(OSError),
            _tls(raw) if over_tls else raw as wire,
        ):  # it hangs up on us, or reads no more
            wire.sendall(text)

    threads = [
        threading.Thread(target=send, args=(text,), kwargs={"over_tls": over_tls})
        for text, over_tls in ((GARBAGE, False), (GARBAGE, True), (head + GARBAGE, True))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@contextmanager
def second_supernode(app: Bed, plan: dict[str, Any], node: str, port: int) -> Iterator[Path]:
    """Start a SuperNode beside a living one with that one's key; gives its log."""
    [component] = [item for unit in plan["units"] for item in unit["components"] if item["name"] == node]
    argv = [word.replace(str(component["ports"]["runtime"]), str(port)) for word in component["argv"]]
    home = app.folder.parent / f"second-{node}"
    home.mkdir()
    env = {name: value for name, value in component["env"].items() if not name.startswith("FLOWERBED_")}
    log = home / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(argv, env={**env, "FLWR_HOME": str(home)}, stdout=out, stderr=out, cwd=home)
    try:
        yield log
    finally:
        process.kill()
        process.wait()


def _tls(raw: socket.socket) -> ssl.SSLSocket:
    trusting = ssl.create_default_context()
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    trusting.set_alpn_protocols(["h2", "http/1.1"])
    return trusting.wrap_socket(raw)
