"""Blobs and images reach a real registry whole or not at all; what one seldom does, a server of the test's own does."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from cluster import configuration
from cluster import registry as real
from flowerbed.errors import RegistryError, RegistryUnreachable
from flowerbed.registry import uploading
from flowerbed.registry.client import Registries
from flowerbed.registry.descriptors import OCI_MANIFEST, Manifest, digest_of
from flowerbed.registry.images import Blob, push_image, push_manifests
from flowerbed.registry.patience import PAUSES
from flowerbed.registry.pulling import pull_blob
from flowerbed.registry.pushing import has_blob, mount_blob, push_blob, push_manifest, standing
from registry.cutting import cable
from registry.odd_uploads import odd_uploads
from registry.test_client import HASHED, await_login, logged_in

pytestmark = pytest.mark.usefixtures("registry_here")

UNCHANGED = "The tag was not changed. The same command goes on where it stopped."
MiB = 2**20


def image(*layers: Blob) -> tuple[list[Blob], Manifest]:
    config = Blob.of(b'{"os": "linux"}')
    entries = [{"mediaType": "application/octet-stream", "digest": one.digest, "size": one.size} for one in layers]
    said = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": config.digest,
            "size": config.size,
        },
        "layers": entries,
    }
    return [config, *layers], Manifest(OCI_MANIFEST, json.dumps(said).encode())


def of_file(file: Path) -> Blob:
    content = file.read_bytes()
    return Blob(digest_of(content), len(content), file)


def test_a_large_blob_goes_there_and_back(shared: str, nobody: Registries, large: Path, tmp_path: Path) -> None:
    name, blob = f"{shared}/round/trip", of_file(large)
    assert not has_blob(nobody, name, blob.digest)
    went: list[int] = []
    push_blob(nobody, name, blob.digest, blob.size, large, went.append)
    assert has_blob(nobody, name, blob.digest)
    assert (sum(went), min(went) > 0, max(went) <= MiB) == (blob.size, True, True)
    back: list[int] = []
    pull_blob(nobody, name, blob.digest, blob.size, tmp_path / "back", back.append)
    assert (tmp_path / "back").read_bytes() == large.read_bytes()
    assert (sum(back), min(back) > 0, max(back) <= MiB) == (blob.size, True, True)


def test_small_and_empty_blobs_go_in_one_request(shared: str, nobody: Registries) -> None:
    with cable(shared) as before:
        for content in (b"", b"a", b"small"):
            push_blob(nobody, f"{before.address}/small/app", digest_of(content), len(content), content)
            assert has_blob(nobody, f"{shared}/small/app", digest_of(content))
            assert nobody.blob(f"{shared}/small/app", digest_of(content)) == content
        assert (len(before.requests("POST")), len(before.requests("PUT")), before.requests("PATCH")) == (3, 3, [])


@pytest.mark.parametrize("cut", [100_000, 8 * MiB, 17 * MiB, 38 * MiB])
@pytest.mark.usefixtures("at_once")
def test_a_connection_that_breaks_anywhere(
    cut: int, shared: str, nobody: Registries, large: Path, tmp_path: Path
) -> None:
    name = f"cut/at-{cut}"
    content = large.read_bytes() + cut.to_bytes(8, "big")  # a registry that has a blob anywhere need not read it again
    large.write_bytes(content)
    blob = of_file(large)
    went: list[int] = []
    with cable(shared) as before:
        before.up.append(cut)
        push_blob(nobody, f"{before.address}/{name}", blob.digest, blob.size, large, went.append)
        assert before.up == []
    assert sum(went) == blob.size
    pull_blob(nobody, f"{shared}/{name}", blob.digest, blob.size, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == content


@pytest.mark.usefixtures("at_once")
def test_a_session_goes_on_where_the_connection_broke(nobody: Registries, large: Path) -> None:
    blob = of_file(large)
    went: list[int] = []
    with odd_uploads(breaks=[16 * MiB, 5 * MiB, 3 * MiB]) as (address, server):
        push_blob(nobody, f"{address}/app", blob.digest, blob.size, large, went.append)
    sent = [(method, headers.get("Content-Range")) for method, _, headers in server.asked]
    assert sent == [
        ("POST", None),
        ("PATCH", f"0-{16 * MiB - 1}"),
        ("GET", None),
        ("PATCH", f"{16 * MiB}-{32 * MiB - 1}"),
        ("GET", None),
        ("PATCH", f"{21 * MiB}-{37 * MiB - 1}"),
        ("GET", None),
        ("PUT", f"{24 * MiB}-{40 * MiB - 1}"),
    ]
    assert server.blobs[blob.digest] == large.read_bytes()
    assert sum(went) == blob.size
    assert all("state=a%3Db%2F&session=0" in path for method, path, _ in server.asked if method != "POST")


@pytest.mark.usefixtures("at_once")
def test_a_session_that_is_gone_is_begun_anew(nobody: Registries, large: Path) -> None:
    blob = of_file(large)
    went: list[int] = []
    with odd_uploads(breaks=[MiB], lies="forgets") as (address, server):
        push_blob(nobody, f"{address}/app", blob.digest, blob.size, large, went.append)
    assert [method for method, _, _ in server.asked] == ["POST", "PATCH", "GET", "POST", "PATCH", "PATCH", "PUT"]
    assert server.blobs[blob.digest] == large.read_bytes()
    assert sum(went) == blob.size


@pytest.mark.parametrize("lies", ["loses-chunks", "small-chunks"])
def test_a_registry_that_takes_no_chunks_gets_it_in_one_request(lies: str, nobody: Registries, large: Path) -> None:
    blob = of_file(large)
    with odd_uploads(lies=lies) as (address, server):
        push_blob(nobody, f"{address}/app", blob.digest, blob.size, large)
    [*_, (method, _, headers)] = server.asked
    assert (method, headers["Content-Length"], "Content-Range" in headers) == ("PUT", str(blob.size), False)
    assert server.blobs[blob.digest] == large.read_bytes()


@pytest.mark.usefixtures("at_once")
def test_a_large_blob_in_one_request_that_is_cut_is_sent_again(
    shared: str, nobody: Registries, large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploading, "CHUNK", 2**40)
    content = large.read_bytes() + b"whole"
    large.write_bytes(content)
    blob = of_file(large)
    went: list[int] = []
    with cable(shared) as before:
        before.up.append(30 * MiB)
        push_blob(nobody, f"{before.address}/whole/app", blob.digest, blob.size, large, went.append)
        assert (len(before.requests("PUT")), before.requests("PATCH")) == (2, [])
    assert (sum(went), max(went) <= MiB) == (blob.size, True)
    pull_blob(nobody, f"{shared}/whole/app", blob.digest, blob.size, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == content


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("size", [1, 40 * MiB])
def test_a_blob_that_is_there_though_nobody_said_so_is_not_sent_again(size: int, nobody: Registries) -> None:
    content = b"x" * size
    went: list[int] = []
    with odd_uploads(lies="mute") as (address, server):
        push_blob(nobody, f"{address}/app", digest_of(content), size, content, went.append)
    assert server.blobs == {digest_of(content): content}
    assert [method for method, _, _ in server.asked if method != "PATCH"] == ["POST", "PUT", "HEAD"]
    assert sum(went) == size


def test_cookies_are_not_kept(nobody: Registries, monkeypatch: pytest.MonkeyPatch) -> None:
    with odd_uploads() as (address, server):
        place = server._place
        cookie = {"Set-Cookie": "sid=1; Path=/"}
        monkeypatch.setattr(server, "_place", lambda self, name="": {**place(self, name), **cookie})
        push_blob(nobody, f"{address}/app", digest_of(b"x"), 1, b"x")
    assert [headers.get("Cookie") for _, _, headers in server.asked] == [None, None]


@pytest.mark.usefixtures("at_once")
def test_a_registry_that_always_breaks_off_is_given_up(nobody: Registries, large: Path) -> None:
    blob = of_file(large)
    with (
        odd_uploads(breaks=[MiB] + [0] * 20) as (address, server),
        pytest.raises(RegistryUnreachable, match="does not answer"),
    ):
        push_blob(nobody, f"{address}/app", blob.digest, blob.size, large)
    assert len(server.breaks) == 20 - len(PAUSES) - 1  # the first went forward, and does not count
    assert server.blobs == {}


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (403, "does not let this login write to app"),
        (404, "knows no repository app"),
        (405, "can only be read from"),
        (413, "refuses that much at once"),
        (507, "has no space left"),
        (501, "answers with 501 Not Implemented"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_what_a_registry_refuses(method: str, status: int, why: str, nobody: Registries) -> None:
    with odd_uploads(says={method: status}) as (address, server), pytest.raises(RegistryError, match=why) as caught:
        push_image(nobody, f"{address}/app:1", [Blob.of(b"x")], [Manifest(OCI_MANIFEST, b"{}")])
    assert (caught.value.where, (caught.value.hint or "").endswith(UNCHANGED)) == (f"{address}/app:1", True)
    assert not any("/manifests/1" in path for method, path, _ in server.asked if method == "PUT")


def test_a_token_for_reading_is_exchanged_for_one_for_writing(nobody: Registries) -> None:
    tokens = {"HEAD": "reader", "POST": "writer", "PUT": "writer"}
    with odd_uploads(tokens=tokens) as (address, server):
        assert not has_blob(nobody, f"{address}/app", digest_of(b"x"))
        push_blob(nobody, f"{address}/app", digest_of(b"x"), 1, b"x")
    assert set(server.blobs) == {digest_of(b"x")}
    asked = [(method, path.partition("?")[0], headers.get("Authorization")) for method, path, headers in server.asked]
    blob, uploads = f"/v2/app/blobs/{digest_of(b'x')}", "/v2/app/blobs/uploads/"
    assert asked == [
        ("HEAD", blob, None),
        ("GET", "/token", None),
        ("HEAD", blob, "Bearer reader"),
        ("POST", uploads, "Bearer reader"),
        ("GET", "/token", None),
        ("POST", uploads, "Bearer writer"),
        ("PUT", "/v2/app/blobs/uploads/here", "Bearer writer"),
    ]


def test_a_permission_stays_with_its_registry(nobody: Registries, monkeypatch: pytest.MonkeyPatch) -> None:
    with odd_uploads() as (elsewhere, other), odd_uploads(tokens={"POST": "writer"}) as (address, server):
        there = {"Location": f"http://{elsewhere}/uploads/x?session=0"}
        monkeypatch.setattr(server, "_place", lambda *_: there)
        other.sessions["0"] = bytearray()
        push_blob(nobody, f"{address}/app", digest_of(b"x"), 1, b"x")
    assert other.blobs == {digest_of(b"x"): b"x"}
    assert [headers.get("Authorization") for _, _, headers in other.asked] == [None]


def test_an_upload_is_not_sent_unencrypted_to_another_machine(
    nobody: Registries, monkeypatch: pytest.MonkeyPatch
) -> None:
    with odd_uploads() as (address, server):
        monkeypatch.setattr(server, "_place", lambda *_: {"Location": "http://elsewhere.example/x"})
        with pytest.raises(RegistryError, match=r"unencrypted, to elsewhere\.example"):
            push_blob(nobody, f"{address}/app", digest_of(b"x"), 1, b"x")


def test_a_file_that_is_shorter_than_it_was(shared: str, nobody: Registries, tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"x")
    with pytest.raises(RegistryError, match="ends after 1 of 2 bytes"):
        push_blob(nobody, f"{shared}/short/app", digest_of(b"xy"), 2, tmp_path / "short")


def test_a_blob_that_is_not_what_it_is_called(shared: str, nobody: Registries) -> None:
    with pytest.raises(RegistryError, match="answers with 400"):
        push_blob(nobody, f"{shared}/wrong/app", digest_of(b"other"), 1, b"x")
    assert not has_blob(nobody, f"{shared}/wrong/app", digest_of(b"other"))


def test_a_blob_is_taken_over_from_another_repository(shared: str, nobody: Registries) -> None:
    content = b"to be mounted"
    push_blob(nobody, f"{shared}/mount/source", digest_of(content), len(content), content)
    with cable(shared) as before:
        name = f"{before.address}/mount/target"
        assert mount_blob(nobody, name, digest_of(content), "mount/source")
        assert has_blob(nobody, name, digest_of(content))
        assert before.sent < 2000
        assert not mount_blob(nobody, name, digest_of(b"nowhere"), "mount/source")


def test_a_permission_for_two_repositories_is_asked_for_in_two_words(nobody: Registries) -> None:
    with odd_uploads(tokens={"POST": "writer"}) as (address, server):
        assert not mount_blob(nobody, f"{address}/app", digest_of(b"x"), "other")
    [query] = [urlsplit(path).query for _, path, _ in server.asked if path.startswith("/token")]
    assert parse_qs(query)["scope"] == ["repository:app:pull,push", "repository:other:pull"]


@pytest.mark.parametrize("status", [401, 403, 404, 405])
def test_a_blob_that_cannot_be_taken_over_has_to_be_pushed(status: int, nobody: Registries) -> None:
    with odd_uploads(says={"POST": status}) as (address, _):
        assert not mount_blob(nobody, f"{address}/app", digest_of(b"x"), "other")


def test_the_second_push_of_an_image_sends_nothing(shared: str, nobody: Registries, large: Path) -> None:
    blobs, manifest = image(of_file(large), Blob.of(b"second layer"))
    total = sum(blob.size for blob in blobs)
    with cable(shared) as before:
        name = f"{before.address}/twice/app:1"
        first: list[int] = []
        pushed = push_image(nobody, name, blobs, [manifest], first.append)
        assert (pushed.digest, pushed.size, pushed.changed) == (manifest.digest, total, True)
        assert nobody.digest(name) == manifest.digest
        before.asked.clear()
        again: list[int] = []
        pushed = push_image(nobody, name, blobs, [manifest], again.append)
        assert (pushed.digest, pushed.size, pushed.changed) == (manifest.digest, 0, False)
        assert before.asked == ["HEAD /v2/twice/app/manifests/1"]
        before.asked.clear()
        push_image(nobody, f"{before.address}/twice/app:2", blobs, [manifest])
        assert before.requests("POST") == []
        assert before.requests("PUT") == ["PUT /v2/twice/app/manifests/2"]
    assert sum(first) == sum(again) == total


@pytest.mark.usefixtures("at_once")
def test_a_registry_that_dies_before_the_tag(tmp_path: Path, large: Path) -> None:
    blobs, manifest = image(of_file(large))
    with closing(Registries({})) as registries:
        with real.serving(tmp_path / "images", tmp_path) as address:
            push_image(registries, f"{address}/app:1", *_small(b"before"))
            for blob in blobs[:1]:
                push_blob(registries, f"{address}/app", blob.digest, blob.size, blob.content)
        with pytest.raises(RegistryUnreachable) as caught:
            push_image(registries, f"{address}/app:1", blobs, [manifest])
        assert (caught.value.hint or "").endswith(UNCHANGED)
        with real.serving(tmp_path / "images", tmp_path) as address:
            assert standing(registries, f"{address}/app", "1") == _small(b"before")[1][0].digest
            assert push_image(registries, f"{address}/app:1", blobs, [manifest]).size == blobs[1].size
            assert standing(registries, f"{address}/app", "1") == manifest.digest


def _small(content: bytes) -> tuple[list[Blob], list[Manifest]]:
    blobs, manifest = image(Blob.of(content))
    return blobs, [manifest]


@pytest.mark.usefixtures("at_once")
def test_a_registry_that_is_killed_within_a_blob(tmp_path: Path, large: Path, kill_serving: Callable[[], None]) -> None:
    blobs, manifest = image(of_file(large))
    with closing(Registries({})) as registries:
        with real.serving(tmp_path / "images", tmp_path) as address, cable(address) as before:
            before.up.append(20 * MiB)
            before.at_cut = kill_serving
            with pytest.raises(RegistryUnreachable) as caught:
                push_image(registries, f"{before.address}/app:1", blobs, [manifest])
            assert (caught.value.hint or "").endswith(UNCHANGED)
        with real.serving(tmp_path / "images", tmp_path) as address:
            assert standing(registries, f"{address}/app", "1") is None
            push_image(registries, f"{address}/app:1", blobs, [manifest])
            assert standing(registries, f"{address}/app", "1") == manifest.digest


@pytest.fixture
def kill_serving(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Kill the registry that was started last, as the kernel does when memory runs out."""
    started: list[subprocess.Popen[bytes]] = []
    plain = real._await

    def note(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
        started.append(process)
        plain(process, address, log)

    monkeypatch.setattr(real, "_await", note)
    return lambda: started[-1].kill()


@pytest.mark.usefixtures("at_once")
def test_an_answer_that_is_lost_after_the_tag(shared: str, nobody: Registries) -> None:
    blobs, [manifest] = _small(b"lost answer")
    with cable(shared) as before:
        name = f"{before.address}/lost/app:1"
        push_image(nobody, f"{before.address}/lost/app:0", blobs, [manifest])
        before.down.extend([0] * 10)
        nobody.close()
        with closing(Registries({})) as anew, pytest.raises(RegistryUnreachable) as caught:
            push_manifests(anew, name, [manifest])
    assert caught.value.hint == "Whether the tag was changed is not known. The same command goes on where it stopped."


@pytest.mark.usefixtures("at_once")
def test_an_answer_that_is_lost_once(shared: str, nobody: Registries) -> None:
    blobs, [manifest] = _small(b"lost once")
    push_image(nobody, f"{shared}/once/app:0", blobs, [manifest])
    with cable(shared) as before:
        before.down.append(0)
        assert not push_manifest(nobody, f"{before.address}/once/app", "1", OCI_MANIFEST, manifest.body)
        assert len(before.requests("PUT")) == 2
    assert standing(nobody, f"{shared}/once/app", "1") == manifest.digest


def test_a_manifest_whose_blobs_are_not_there(shared: str, nobody: Registries) -> None:
    _, [manifest] = _small(b"nowhere to be found")
    with pytest.raises(RegistryError, match="blob unknown") as caught:
        push_image(nobody, f"{shared}/unknown/app:1", [], [manifest])
    assert (caught.value.hint or "").endswith(UNCHANGED)


def test_who_may_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "users").write_text(f"ann:{HASHED}\n")
    plain = configuration.registry
    users = {"auth": {"htpasswd": {"realm": "test", "path": str(tmp_path / "users")}}}
    monkeypatch.setattr(real, "registry", lambda storage, address: {**plain(storage, address), **users})
    monkeypatch.setattr(real, "_await", await_login)
    blobs, manifests = _small(b"mine")
    with real.serving(tmp_path / "images", tmp_path) as address:
        name = f"{address}/team/app:1"
        for environment, why in (
            ({}, f"{address} takes images only from those who log in"),
            (logged_in(tmp_path, address, "guessed"), f"{address} does not let this login write to team/app"),
        ):
            with closing(Registries(environment)) as registries, pytest.raises(RegistryError) as caught:
                push_image(registries, name, blobs, manifests)
            assert (caught.value.message, caught.value.where) == (why, name)
            assert f"`docker login {address}`" in (caught.value.hint or "")
            assert (caught.value.hint or "").endswith(UNCHANGED)
        with closing(Registries(logged_in(tmp_path, address, "secret of ann"))) as registries:
            assert push_image(registries, name, blobs, manifests).changed
            assert registries.digest(name) == manifests[0].digest


def test_a_chunk_is_as_large_as_the_registry_wants(
    nobody: Registries, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob = of_file(large)
    with odd_uploads() as (address, server):
        place = server._place
        more = {"OCI-Chunk-Min-Length": str(uploading.CHUNK + MiB)}
        monkeypatch.setattr(server, "_place", lambda self, name="": {**place(self, name), **more})
        push_blob(nobody, f"{address}/app", blob.digest, blob.size, large)
    patches = [headers["Content-Length"] for method, _, headers in server.asked if method == "PATCH"]
    assert patches == [str(17 * MiB), str(17 * MiB)]


def test_logins_are_not_shown(tmp_path: Path) -> None:
    secret = base64.b64encode(b"ann:secret of ann").decode()
    tokens = {"POST": "writer"}
    with odd_uploads(tokens=tokens, says={"POST": 403}) as (address, server):
        environment = logged_in(tmp_path, address, "secret of ann")
        with closing(Registries(environment)) as registries, pytest.raises(RegistryError) as caught:
            push_blob(registries, f"{address}/app", digest_of(b"x"), 1, b"x")
    assert any(secret in headers.get("Authorization", "") for _, _, headers in server.asked)
    assert not any(word in str(caught.value) for word in (secret, "secret of ann", "writer"))
