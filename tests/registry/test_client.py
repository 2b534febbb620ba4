"""Digests come from a real registry, also behind a login; what one seldom says, from a server of the test's own."""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from cluster import configuration
from cluster import registry as real
from flowerbed.errors import RegistryError
from flowerbed.registry.client import Registries
from registry.pushing import BLOB, push, send

HASHED = "$2b$04$i6RmfGedgC99EJkZtLLCm.bPkH5KRfEjPooSoHizaEsLhy.cglkGa"
"""Of the password "secret of ann"."""

pytestmark = pytest.mark.usefixtures("registry_here")


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    with real.serving(tmp_path / "images", tmp_path) as address:
        yield address


def test_a_tag_stands_for_what_was_pushed_last(address: str) -> None:
    with closing(Registries({})) as registries:
        first = push(address, "team/app", "1", note="first")
        assert registries.digest(f"{address}/team/app:1") == first
        second = push(address, "team/app", "1", note="second")
        assert registries.digest(f"{address}/team/app:1") == second != first
        assert registries.digest(f"{address}/team/app:1@{first}") == first  # the tag beside a digest says nothing


@pytest.mark.parametrize("rest", [":2", "@sha256:" + "0a" * 32])
def test_an_image_that_is_not_there(address: str, rest: str) -> None:
    push(address, "team/app", "1")
    with closing(Registries({})) as registries, pytest.raises(RegistryError, match="there is no such image") as caught:
        registries.digest(f"{address}/team/app{rest}")
    assert caught.value.where == f"{address}/team/app{rest}"


def test_nobody_answers(tmp_path: Path) -> None:
    with real.serving(tmp_path / "images", tmp_path) as address:
        pass
    with closing(Registries({})) as registries, pytest.raises(RegistryError, match=f"{address} does not answer"):
        registries.digest(f"{address}/team/app:1")


def test_somebody_answers_without_tls() -> None:
    """Not on what stands for this machine, where plain HTTP is spoken."""
    with http.server.HTTPServer(("127.0.0.2", 0), http.server.BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with closing(Registries({})) as registries, pytest.raises(RegistryError, match="does not answer") as caught:
            registries.digest(f"127.0.0.2:{server.server_port}/team/app:1")
        server.shutdown()
    assert (
        caught.value.hint == "It seems to speak plain HTTP, which is spoken to localhost alone: give it a certificate."
    )


def logged_in(tmp_path: Path, address: str, password: str) -> dict[str, str]:
    login = base64.b64encode(f"ann:{password}".encode()).decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {address: {"auth": login}}}))
    return {"DOCKER_CONFIG": str(tmp_path)}


def test_a_registry_that_asks_for_a_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "users").write_text(f"ann:{HASHED}\n")
    plain = configuration.registry
    users = {"auth": {"htpasswd": {"realm": "test", "path": str(tmp_path / "users")}}}
    monkeypatch.setattr(real, "registry", lambda storage, address: {**plain(storage, address), **users})
    monkeypatch.setattr(real, "_await", await_login)
    with real.serving(tmp_path / "images", tmp_path) as address:
        digest = push(address, "team/app", "1", login="ann:secret of ann")
        with closing(Registries(logged_in(tmp_path, address, "secret of ann"))) as registries:
            assert registries.digest(f"{address}/team/app:1") == digest
        with closing(Registries({})) as registries, pytest.raises(RegistryError) as nobody:
            registries.digest(f"{address}/team/app:1")
        assert f"docker login {address}" in str(nobody.value)
        with (
            closing(Registries(logged_in(tmp_path, address, "guessed"))) as registries,
            pytest.raises(RegistryError) as bad,
        ):
            registries.digest(f"{address}/team/app:1")
        assert "does not let this login read it" in str(bad.value)


def await_login(process: Any, address: str, log: Path) -> None:
    """Return once the registry answers: with a login asked for, that is a refusal."""
    while process.poll() is None:
        try:
            send(f"http://{address}/v2/", b"", "text/plain", method="GET")
        except urllib.error.HTTPError as error:
            error.close()
            return
        except OSError:
            continue
    raise RuntimeError(log.read_text())


# What a registry with a token server, or an odd one, says.


class Odd(http.server.BaseHTTPRequestHandler):
    """Says what the test wants."""

    answers: dict[str, tuple[int, dict[str, str], bytes]]
    token = ""
    asked: list[dict[str, Any]]

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        self.body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.do_GET()

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self.asked.append(
            {"path": parts.path, "query": parse_qs(parts.query or getattr(self, "body", "")), **dict(self.headers)}
        )
        status, headers, body = self.answers[parts.path]
        if self.token and parts.path != "/token" and self.headers.get("Authorization") != f"Bearer {self.token}":
            challenge = f'Bearer realm="http://{self.headers["Host"]}/token",service="test",scope="repository:app:pull"'
            status, headers, body = 401, {"WWW-Authenticate": challenge}, b""
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def odd(
    answers: dict[str, tuple[int, dict[str, str], bytes]], wants: str = ""
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    handler = type("Handler", (Odd,), {"answers": answers, "token": wants, "asked": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}", handler.asked  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


DIGEST = f"sha256:{hashlib.sha256(BLOB).hexdigest()}"
HERE = {"/v2/app/manifests/1": (200, {"Docker-Content-Digest": DIGEST}, BLOB)}
TOKEN: dict[str, tuple[int, dict[str, str], bytes]] = {"/token": (200, {}, b'{"token": "good"}')}


def test_a_token_is_fetched_with_the_login_and_used_again(tmp_path: Path) -> None:
    with (
        odd(HERE | TOKEN, wants="good") as (address, asked),
        closing(Registries(logged_in(tmp_path, address, "secret of ann"))) as registries,
    ):
        assert registries.digest(f"{address}/app:1") == registries.digest(f"{address}/app:1") == DIGEST
    [fetched] = [request for request in asked if request["path"] == "/token"]
    assert fetched["query"] == {"service": ["test"], "scope": ["repository:app:pull"]}
    assert base64.b64decode(fetched["Authorization"].removeprefix("Basic ")) == b"ann:secret of ann"


def test_nobody_gets_a_token_too_where_images_are_for_all() -> None:
    with odd(HERE | TOKEN, wants="good") as (address, asked), closing(Registries({})) as registries:
        assert registries.digest(f"{address}/app:1") == DIGEST
    assert all("Authorization" not in request for request in asked if request["path"] == "/token")


def test_an_identity_token_is_exchanged(tmp_path: Path) -> None:
    with odd(HERE | TOKEN, wants="good") as (address, asked):
        (tmp_path / "config.json").write_text(json.dumps({"auths": {address: {"identitytoken": "mine"}}}))
        with closing(Registries({"DOCKER_CONFIG": str(tmp_path)})) as registries:
            assert registries.digest(f"{address}/app:1") == DIGEST
    [fetched] = [request for request in asked if request["path"] == "/token"]
    assert fetched["query"]["refresh_token"] == ["mine"]


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ({"/token": (403, {}, b"")}, "gives it only to those who log in"),
        ({"/token": (200, {}, b"hello")}, "gives it only to those who log in"),
    ],
)
def test_no_token(answers: dict[str, Any], why: str) -> None:
    with (
        odd(HERE | answers, wants="good") as (address, _),
        closing(Registries({})) as registries,
        pytest.raises(RegistryError, match=why),
    ):
        registries.digest(f"{address}/app:1")


def test_a_login_is_not_sent_unencrypted_to_another_machine(tmp_path: Path) -> None:
    challenge = {"WWW-Authenticate": 'Bearer realm="http://elsewhere.example/token"'}
    with odd({"/v2/app/manifests/1": (401, challenge, b"")}) as (address, _):
        environment = logged_in(tmp_path, address, "secret of ann")
        with closing(Registries(environment)) as registries, pytest.raises(RegistryError, match="unencrypted"):
            registries.digest(f"{address}/app:1")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((429, {}, b""), "has been asked too often"),
        ((403, {}, b""), "does not let this login read it"),
        ((500, {}, b""), "answers with 500 Internal Server Error"),
        ((401, {"WWW-Authenticate": 'Negotiate realm="x"'}, b""), "asks for a login in a way that is not known"),
    ],
)
def test_refusals(answer: tuple[int, dict[str, str], bytes], why: str) -> None:
    with (
        odd({"/v2/app/manifests/1": answer}) as (address, _),
        closing(Registries({})) as registries,
        pytest.raises(RegistryError, match=why),
    ):
        registries.digest(f"{address}/app:1")


def test_a_registry_that_names_no_digest_is_read() -> None:
    with odd({"/v2/app/manifests/1": (200, {}, BLOB)}) as (address, _), closing(Registries({})) as registries:
        assert registries.digest(f"{address}/app:1") == DIGEST


def test_a_registry_that_gives_something_else_for_a_digest() -> None:
    wanted = "sha256:" + "0a" * 32
    answers = {f"/v2/app/manifests/{wanted}": (200, {"Docker-Content-Digest": DIGEST}, BLOB)}
    with (
        odd(answers) as (address, _),
        closing(Registries({})) as registries,
        pytest.raises(RegistryError, match=f"answers with {DIGEST} instead"),
    ):
        registries.digest(f"{address}/app@{wanted}")
