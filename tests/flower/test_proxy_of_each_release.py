"""The proxy's configuration of each release, with nginx and without a SuperLink: what it would let through.

What is refused nginx refuses itself; what is let through it cannot pass on, for nobody is there, and says so.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from by_hand import HOST, PATIENCE, eventually
from proxied import connected, over_tls, start_nginx
from trusted import EVERYTHING, NOW, trust_folder

from flowerbed.flower import apis
from flowerbed.flower.apis import Api
from flowerbed.flower.releases import RELEASES, Row
from flowerbed.kubernetes.manifests.nginx import CLIENT_ORGANISATION, Listener, Tls, proxy
from flowerbed.trust import certificates
from flowerbed.trust.certificates import Issued
from flowerbed.trust.folder import TrustFolder
from free_ports import free_port

METHODS = {"grpc": "ListRuns", "http": "list-runs"}
"""A name as each of an API's methods could have it."""


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> TrustFolder:
    return trust_folder(tmp_path_factory.mktemp("trust") / "made")


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: str(release.minor))
def test_each_door_lets_one_api_through_and_control_asks_for_a_certificate(
    release: Row, trust: TrustFolder, tmp_path: Path
) -> None:
    ca = trust.certificate("ca")
    mine = tmp_path / "mine.pem"
    mine.write_bytes(b"".join(client_of(trust)))
    with doors_of(release, trust, tmp_path) as doors:
        let_through = {
            (door, api, own is not None)
            for door in Api
            for api in Api
            for own in (None, mine)
            for prefix in {apis.prefix(release, api), f"/v1/{api.value}/"}
            for path in [f"{prefix}{METHODS['http' if prefix.startswith('/v1/') else 'grpc']}"]
            if passes(
                said(doors[door], path, ca if apis.has_tls(release, door, EVERYTHING) else None, own),
                apis.port(release, door).protocol,
            )
        }
    assert let_through == {
        *((api, api, own) for api in (Api.RUNTIME, Api.FLEET) for own in (True, False)),
        (Api.CONTROL, Api.CONTROL, True),
    }


def client_of(trust: TrustFolder) -> tuple[bytes, bytes]:
    authority = Issued(trust.certificate("ca").read_bytes(), trust.key("ca").read_bytes())
    until = certificates.describe(authority.certificate, "ca").not_after
    issued = certificates.issue_client(
        authority, "test", CLIENT_ORGANISATION, now=NOW, until=until, random=secrets.token_bytes
    )
    return issued.certificate, issued.key


@contextmanager
def doors_of(release: Row, trust: TrustFolder, folder: Path) -> Iterator[dict[Api, str]]:
    """Run nginx before nobody; give where each API's door is."""
    ca = str(trust.certificate("ca"))
    tls = Tls(str(trust.certificate("superlink")), str(trust.key("superlink")), ca, ca)
    doors = {api: f"{HOST}:{free_port()}" for api in Api}
    nobody = f"{HOST}:{free_port()}"
    listeners = [
        Listener(
            doors[api],
            nobody,
            apis.port(release, api).protocol,
            apis.prefix(release, api),
            tls if apis.has_tls(release, api, EVERYTHING) else None,
            clients_only=api is Api.CONTROL,
        )
        for api in Api
    ]
    (folder / "nginx.conf").write_text(proxy(listeners, health=f"{HOST}:{free_port()}", scratch=str(folder)))
    nginx = start_nginx(folder / "nginx.conf", folder / "log")
    try:
        for door in doors.values():
            eventually(partial(answers, door))
        yield doors
    finally:
        nginx.terminate()
        nginx.wait(PATIENCE)


def answers(door: str) -> bool:
    try:
        connected(door).close()
    except OSError:
        return False
    return True


def said(door: str, path: str, authority: Path | None, own: Path | None) -> bytes:
    """Return what a request of HTTP/1.1 is answered, which nginx understands at each door with TLS."""
    if authority is None:
        return said_over_http2(door, path)
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with over_tls(door, authority, "http/1.1", own=own) as wire:
        wire.sendall(head.encode())
        return wire.recv(1000)


def said_over_http2(door: str, path: str) -> bytes:
    """Return the same where it has to be HTTP/2 (RFC 9113, 7541): whether its status is 200, as only a refusal's is."""
    headers = b"".join(
        bytes([0, len(name)]) + name + bytes([len(value)]) + value  # a literal that is not kept for the next request
        for name, value in (
            (b":method", b"POST"),
            (b":scheme", b"http"),
            (b":path", path.encode()),
            (b":authority", b"x"),
        )
    )
    with connected(door) as wire, wire.makefile("rwb") as both:
        both.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"") + frame(1, 0x5, 1, headers))
        both.flush()
        while True:
            head = both.read(9)
            body = both.read(int.from_bytes(head[:3], "big"))
            if head[3] == 1:  # HEADERS: perhaps 0x20, no table is kept; then 0x88, ":status: 200"
                return b"\r\ngrpc-status: 7\r\n" if body.lstrip(b"\x20")[0] == 0x88 else b"HTTP/1.1 502 "


def frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:
    return len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body


def passes(answer: bytes, protocol: str) -> bool:
    """Tell whether nginx would have let it through: it says then, so that clients ask again, that nobody is there."""
    refused = answer.startswith(b"HTTP/1.1 403 ") or b"\r\ngrpc-status: 7\r\n" in answer
    assert refused or answer.startswith(b"HTTP/1.1 502 " if protocol == "grpc" else b"HTTP/1.1 503 "), answer
    return not refused
