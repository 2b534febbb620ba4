"""nginx before a real SuperLink: what comes in through which door, and what does not."""

from __future__ import annotations

import http.client
import json
import re
import secrets
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal

import pytest
from by_hand import HOST, PATIENCE, RELEASES, environment, eventually, write_app
from proxied import Proxied, connected, methods, over_tls, proxied, start_nginx
from trusted import NOW

from control_calls import REFUSED
from flowerbed.flower import apis
from flowerbed.flower.apis import Api
from flowerbed.flower.release import Minor
from flowerbed.flower.values import Trusted
from flowerbed.kubernetes.manifests.nginx import Forwarder, Tls, forwarder
from flowerbed.trust import certificates, files
from flowerbed.trust.certificates import Issued
from flowerbed.trust.servers import LOOPBACK
from free_ports import free_port
from trust.someone import NAME, Someone

pytestmark = [pytest.mark.flower, pytest.mark.timeout(600)]  # the first run on a machine installs Flower

SERVER = """\
import numpy as np
from flwr.app import ArrayRecord, Message, RecordDict
from flwr.serverapp import ServerApp

app = ServerApp()


@app.main()
def main(grid, context):
    sent = np.arange(4_000_000, dtype=np.float32)
    (node,) = grid.get_node_ids()
    content = RecordDict({"model": ArrayRecord([sent])})
    (reply,) = grid.send_and_receive([Message(content, node, "train")], timeout=120)
    (got,) = reply.content["model"].to_numpy_ndarrays()
    print("twice as much" if (got == 2 * sent).all() else "something else", flush=True)
"""

CLIENT = """\
from flwr.app import ArrayRecord, Message, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


@app.train()
def train(message, context):
    (got,) = message.content["model"].to_numpy_ndarrays()
    return Message(content=RecordDict({"model": ArrayRecord([2 * got])}), reply_to=message)
"""


@pytest.fixture(scope="module", params=[RELEASES[0], RELEASES[-1]])
def bed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    """A SuperLink behind nginx, with the ServerApp's SuperExec and a SuperNode, all of them through their doors."""
    with proxied(request.param, tmp_path_factory.mktemp("proxied") / "bed") as running:
        running.join()
        running.serverapps()
        yield running


@pytest.fixture(scope="module")
def known(bed: Proxied) -> dict[Api, list[str]]:
    """The paths of each API's methods, as the release itself has them."""
    every = methods(bed.python, bed.folder / "asked")
    return {api: [path for path in every if path.startswith(apis.prefix(bed.row, api))] for api in Api}


def run_through(bed: Proxied, app: Path) -> str:
    """Submit an app that exchanges a message of 16 MB, through the door of Control; return its log."""
    write_app(app, server=SERVER, client=CLIENT)
    with closing(bed.client(bed.certificate())) as client:
        run = client.ask("submit", app=str(app), config={})["run"]
        client.ask("follow", run=run)
        client.wait(lambda: client.ended(run))
        [found] = client.ask("runs", run=run)
        assert (found["status"], found["sub"]) == ("finished", "completed"), client.log(run)
        return client.log(run)


def test_a_run_goes_through_all_doors_while_others_dawdle_and_send_garbage(bed: Proxied, tmp_path: Path) -> None:
    door, authority = bed.door(Api.FLEET), bed.trusted[Trusted.AUTHORITY]
    with ExitStack() as stack:
        for _ in range(50):
            stack.enter_context(connected(door))
        for _ in range(50):
            stack.enter_context(over_tls(door, authority))
        for _ in range(20):
            slow = stack.enter_context(over_tls(door, authority))
            slow.sendall(b"POST /v1/fleet/pull-messages HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        for _ in range(10):
            with connected(door) as wire:
                send_garbage(wire)
        assert "twice as much" in run_through(bed, tmp_path / "app")


def send_garbage(wire: socket.socket) -> None:
    try:
        for _ in range(16):
            wire.sendall(secrets.token_bytes(2**16))
    except OSError:  # it has heard enough
        pass


def test_nobody_calls_control_without_a_certificate(bed: Proxied, known: dict[Api, list[str]]) -> None:
    assert known[Api.CONTROL]
    refused = dict.fromkeys(known[Api.CONTROL])
    for api in Api:
        found = bed.call(api, known[Api.CONTROL])
        assert found == {path: REFUSED[bed.protocol(api)] for path in refused}, api


def test_each_door_is_for_one_api(bed: Proxied, known: dict[Api, list[str]]) -> None:
    own = bed.certificate()
    for door in Api:
        for api in set(Api) - {door}:
            assert known[api]
            found = bed.call(door, known[api], own if apis.has_tls(bed.row, door, bed.protection) else None)
            assert set(found.values()) == {REFUSED[bed.protocol(door)]}, (door, api)


def test_with_a_certificate_control_answers(bed: Proxied) -> None:
    with closing(bed.client(bed.certificate())) as client:
        client.ask("runs")
    listed = {"grpc": "/flwr.proto.Control/ListRuns", "http": "/v1/control/list-runs"}[bed.protocol(Api.CONTROL)]
    assert set(bed.call(Api.CONTROL, [listed], bed.certificate()).values()) <= {"OK", "200"}


WHOSE = ("another authority's", "expired", "the SuperLink's", "loopback's", "the authority's own", "another role's")


@pytest.mark.parametrize("whose", WHOSE)
def test_certificates_that_are_not_for_control(bed: Proxied, known: dict[Api, list[str]], whose: str) -> None:
    found = bed.call(Api.CONTROL, known[Api.CONTROL][:3], certificate(bed, whose))
    if whose == "the authority's own" and bed.protocol(Api.CONTROL) == "grpc":
        assert set(found.values()) == {"UNAVAILABLE"}  # gRPC's own library does not show a certificate like that
        return
    assert set(found.values()) == {REFUSED[bed.protocol(Api.CONTROL)]}


def certificate(bed: Proxied, whose: str) -> tuple[Path, Path]:
    match whose:
        case "another authority's":
            other = certificates.new_authority("test", now=NOW - timedelta(days=3), random=secrets.token_bytes)
            return bed.certificate(other)
        case "expired":
            return bed.certificate(until=NOW - timedelta(days=1))
        case "the SuperLink's":
            return bed.trusted[Trusted.SUPERLINK_CERTIFICATE], bed.trusted[Trusted.SUPERLINK_KEY]
        case "loopback's":
            folder = bed.trusted[Trusted.SUPERLINK_CERTIFICATE].parent
            return folder / "loopback.crt", folder / "loopback.key"
        case "the authority's own":
            return bed.write(bed.authority)
        case _:
            until = NOW + timedelta(days=1)
            role = "Somebody else"
            return bed.write(
                certificates.issue_client(bed.authority, "x", role, now=NOW, until=until, random=secrets.token_bytes)
            )


CONFIGURATION_FROM = Minor(1, 31)
"""From then on connections are in a file of their own, ``config.toml``."""

TWO_MEANINGS = (
    "{fleet}/../{control}",
    "{control}/../..{fleet}",
    "{control}/%2e%2e/%2e%2e{fleet}",
    "{fleet}/%2e%2e/%2e%2e{control}",
    "{fleet}/..%2f..{control}",
    "/{control}",
    "{fleet}#{control}",
    "{control}#{fleet}",
    "{fleet}?{control}",
    "{fleet}/",
    "/health",
    "/docs",
    "/openapi.json",
    "/",
)


def test_paths_that_mean_two_things_mean_nothing(bed: Proxied, known: dict[Api, list[str]]) -> None:
    fleet, control = known[Api.FLEET][0], known[Api.CONTROL][0]
    for api in (Api.FLEET, Api.RUNTIME):
        if not apis.has_tls(bed.row, api, bed.protection):
            continue
        for path in TWO_MEANINGS:
            said = answer(bed, api, path.format(fleet=fleet, control=control))
            assert re.match(rb"HTTP/1.1 40[03] ", said) or b"\r\ngrpc-status: 7\r\n" in said, (path, said)


def answer(bed: Proxied, api: Api, path: str) -> bytes:
    """Return what a request of HTTP/1.1 is answered, whatever is spoken there else."""
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with over_tls(bed.door(api), bed.trusted[Trusted.AUTHORITY], "http/1.1") as wire:
        wire.sendall(head.encode())
        return wire.recv(1000)


def test_a_superlink_that_was_killed_is_waited_for_by_all_behind_the_doors(bed: Proxied, tmp_path: Path) -> None:
    app = write_app(tmp_path / "app")
    with closing(bed.client(bed.certificate())) as client:
        run = client.ask("submit", app=str(app), config={"lines": 8, "pause": 0.5})["run"]
        client.ask("follow", run=run)
        client.wait(lambda: "line 1" in client.log(run))
        bed.kill("superlink")
        bed.superlink()
        client.wait(lambda: client.ended(run))
        assert "line 7" in client.log(run)
        [found] = client.ask("runs", run=run)
        assert (found["status"], found["sub"]) == ("finished", "completed")


def test_a_renewed_certificate_is_shown_at_once(bed: Proxied) -> None:
    renewed = certificates.issue(bed.authority, (*LOOPBACK, "renewed"), now=NOW, until=None, random=secrets.token_bytes)
    before = Issued(
        *(bed.trusted[what].read_bytes() for what in (Trusted.SUPERLINK_CERTIFICATE, Trusted.SUPERLINK_KEY))
    )
    assert "renewed" not in shown(bed)
    try:
        show(bed, renewed)
        assert "renewed" in shown(bed)
    finally:
        show(bed, before)


def show(bed: Proxied, issued: Issued) -> None:
    files.write(bed.trusted[Trusted.SUPERLINK_CERTIFICATE], issued.certificate)
    files.write(bed.trusted[Trusted.SUPERLINK_KEY], issued.key)


def shown(bed: Proxied) -> tuple[str, ...]:
    """Return the names in the certificate that the door of Fleet shows."""
    with over_tls(bed.door(Api.FLEET), bed.trusted[Trusted.AUTHORITY]) as wire:
        shown = wire.getpeercert(binary_form=True)
    assert shown is not None
    return certificates.describe(ssl.DER_cert_to_PEM_cert(shown).encode(), "shown").names


def test_a_forwarder_adds_the_certificate_to_what_a_stock_client_says(bed: Proxied, tmp_path: Path) -> None:
    app, home = write_app(tmp_path / "app"), tmp_path / "home"
    with forwarded(bed, tmp_path / "client") as address:
        said = stock_flwr_run(bed, app, home, address)
    assert json.loads(said)["success"] is True, said
    with closing(bed.client(bed.certificate())) as client:
        run = str(json.loads(said)["run-id"])
        client.ask("follow", run=run)
        client.wait(lambda: client.ended(run))
        assert "line 2" in client.log(run)


def test_a_forwarder_knows_a_superlink_whose_authority_stands_below_others(tmp_path: Path) -> None:
    root = Someone("root", ca=True)
    between = Someone("policy", root, ca=True)
    issuing = Someone("issuing", between, ca=True)
    for number, signer in enumerate((root, between, issuing)):
        leaf = Someone("superlink", signer, server=True)
        folder = tmp_path / str(number)
        folder.mkdir()
        above = {root: (), between: (between,), issuing: (issuing, between)}[signer]
        (folder / "server.pem").write_bytes(b"".join([leaf.private, leaf.pem, *(one.pem for one in above)]))
        with served(folder / "server.pem") as behind:
            for known, status in ((root, 200), (Someone("root", ca=True), 502)):
                (folder / "ca.crt").write_bytes(known.pem)
                with forwarding(folder, behind, NAME, "http", leaf) as address:
                    assert got(address) == status, (number, known is root)


@contextmanager
def served(pem: Path) -> Iterator[str]:
    """Answer requests over TLS, with a certificate and those of its authorities."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

    with ThreadingHTTPServer((HOST, 0), Answers) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"{HOST}:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join(PATIENCE)


def got(address: str) -> int:
    connection = http.client.HTTPConnection(address, timeout=10)
    with closing(connection):
        connection.request("GET", "/v1/control/list-runs")
        return connection.getresponse().status


@contextmanager
def forwarded(bed: Proxied, folder: Path) -> Iterator[str]:
    """Run a forwarder from a folder as `flowerbed trust export --client` writes it."""
    folder.mkdir()
    certificate, key = bed.certificate()
    shutil.copy(certificate, folder / "tls.crt")
    shutil.copy(key, folder / "tls.key")
    shutil.copy(bed.trusted[Trusted.AUTHORITY], folder / "ca.crt")
    with forwarding(folder, bed.door(Api.CONTROL), "localhost", apis.port(bed.row, Api.CONTROL).protocol) as at:
        yield at


@contextmanager
def forwarding(
    folder: Path, control: str, name: str, protocol: Literal["grpc", "http"], shows: Someone | None = None
) -> Iterator[str]:
    """Run a forwarder from a folder with its files, to a SuperLink of that name; return where it listens."""
    if shows is not None:
        (folder / "tls.crt").write_bytes(shows.pem)
        (folder / "tls.key").write_bytes(shows.private)
    at = f"{HOST}:{free_port()}"
    made = Forwarder(at, control, name, protocol, Tls("tls.crt", "tls.key", "ca.crt", "ca.crt"))
    (folder / "nginx.conf").write_text(forwarder(made, scratch=str(folder)))
    nginx = start_nginx(folder / "nginx.conf", folder / "log")
    try:
        eventually(lambda: listens(at))
        yield at
    finally:
        nginx.terminate()
        nginx.wait(PATIENCE)


def listens(address: str) -> bool:
    try:
        connected(address).close()
    except OSError:
        return False
    return True


def stock_flwr_run(bed: Proxied, app: Path, home: Path, address: str) -> str:
    """Submit an app with Flower's own command, which knows nothing of certificates; return what it says."""
    env = environment(home)
    connection = f'address = "{address}"\ninsecure = true\n'
    if bed.row.minor >= CONFIGURATION_FROM:
        (home / "config.toml").write_text(f"[superlink.here]\n{connection}")
    else:
        with (app / "pyproject.toml").open("a") as file:
            file.write(f"\n[tool.flwr.federations.here]\n{connection}")
    done = subprocess.run(
        [bed.python.with_name("flwr"), "run", str(app), "here", "--format", "json"],
        env={**env, "PATH": f"{bed.python.parent}:{env['PATH']}"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return done.stdout[done.stdout.index("{") :] if "{" in done.stdout else f"{done.stdout}{done.stderr}"
