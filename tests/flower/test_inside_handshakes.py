"""What is broken off in its TLS handshake is tried again, and a certificate that is not trusted is not."""

from __future__ import annotations

import secrets
import socket
import ssl
import subprocess
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from by_hand import HOST, PATIENCE, RELEASES, environment

from environments import environment_python
from flowerbed.trust import certificates
from flowerbed_inside import bundles

pytestmark = [pytest.mark.flower, pytest.mark.timeout(600)]  # the first run on a machine installs Flower

NEWEST = RELEASES[-1]
BROKEN_OFF = 2

ASKING = """
import sys
import httpx
from flwr.supercore.retry import make_simple_http_retry_invoker
if sys.argv[2] == "patient":
    from flowerbed_inside.levers import handshakes
    handshakes.take()
invoker = make_simple_http_retry_invoker()
invoker.wait_function = lambda seconds: None
try:
    invoker.invoke(httpx.Client().post, sys.argv[1])
except httpx.TransportError as error:
    print(error)
"""


class Server(threading.Thread):
    """Breaks off its first connections in the handshake, and shows a certificate of an unknown authority after that."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        now = datetime.now(UTC)
        authority = certificates.new_authority("test", now=now, random=secrets.token_bytes)
        issued = certificates.issue(authority, [HOST], now=now, until=None, random=secrets.token_bytes)
        chain = folder / "chain.pem"
        chain.write_bytes(issued.certificate + issued.key)
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._tls.load_cert_chain(chain)
        self.listener = socket.create_server((HOST, 0))
        self.port = self.listener.getsockname()[1]
        self.asked = 0

    def run(self) -> None:
        """Serve until the listener is closed."""
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                self.asked += 1
                if self.asked <= BROKEN_OFF:
                    connection.recv(65536)
                    continue
                try:
                    self._tls.wrap_socket(connection, server_side=True).close()
                except OSError:  # the client trusts nobody here
                    continue


@pytest.mark.parametrize(
    ("who", "asked", "said"),
    [("patient", BROKEN_OFF + 1, "CERTIFICATE_VERIFY_FAILED"), ("stock", 1, "UNEXPECTED_EOF_WHILE_READING")],
)
def test_a_connection_that_is_broken_off_in_its_handshake_is_tried_again(
    who: str, asked: int, said: str, tmp_path: Path
) -> None:
    server = Server(tmp_path)
    server.start()
    done = subprocess.run(
        [environment_python(NEWEST), "-c", ASKING, f"https://{HOST}:{server.port}/", who],
        env=environment(tmp_path / "home") | {"PYTHONPATH": str(bundles.PACKAGE.parent)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    server.listener.close()
    assert (server.asked, said in done.stdout) == (asked, True), done.stdout + done.stderr
