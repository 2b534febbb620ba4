"""An image is copied from one real registry to another, all platforms of it, under the same digest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import registry as real
from flowerbed.errors import RegistryError, RegistryUnreachable
from flowerbed.registry.client import Registries
from flowerbed.registry.copying import copy_image, gather
from flowerbed.registry.descriptors import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Manifest
from flowerbed.registry.images import Blob, push_manifests
from flowerbed.registry.pushing import has_blob, push_blob, standing
from registry.cutting import cable
from registry.pushing import push, send
from registry.test_client import odd

pytestmark = pytest.mark.usefixtures("registry_here")

MiB = 2**20


@pytest.fixture
def target(tmp_path: Path, registry_here: None) -> Iterator[str]:
    (tmp_path / "target").mkdir()
    with real.serving(tmp_path / "target" / "images", tmp_path / "target") as address:
        yield address


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


def one_image(registries: Registries, name: str, content: bytes, kind: str = OCI_MANIFEST) -> Manifest:
    """Push the parts of an image for one platform but for its manifest."""
    entries = []
    for blob in (Blob.of(b'{"os": "linux"}'), Blob.of(content)):
        push_blob(registries, name, blob.digest, blob.size, blob.content)
        entries.append({"mediaType": "application/octet-stream", "digest": blob.digest, "size": blob.size})
    # Odd spaces: whoever wrote it anew would lose them, and the digest with them.
    said = json.dumps({"schemaVersion": 2, "mediaType": kind, "config": entries[0], "layers": entries[1:]}, indent=3)
    return Manifest(kind, said.encode() + b"\n")


def an_index(*images: Manifest, kind: str = OCI_INDEX) -> Manifest:
    platforms = [{"os": "linux", "architecture": one} for one in ("amd64", "arm64", "unknown")]
    entries = [
        {"mediaType": one.media_type, "digest": one.digest, "size": len(one.body), "platform": platform}
        for one, platform in zip(images, platforms, strict=False)
    ]
    return Manifest(kind, json.dumps({"manifests": entries, "mediaType": kind, "schemaVersion": 2}).encode())


@pytest.fixture
def two_platforms(shared: str, nobody: Registries) -> tuple[str, list[Manifest]]:
    name = f"{shared}/two/platforms:1"
    parts = [one_image(nobody, name, content * MiB) for content in (b"amd64", b"arm64")]
    manifests = [*parts, an_index(*parts)]
    push_manifests(nobody, name, manifests)
    return name, manifests


def test_all_platforms_keep_their_digests(
    two_platforms: tuple[str, list[Manifest]], target: str, nobody: Registries, folder: Path
) -> None:
    source, [amd64, arm64, index] = two_platforms
    copy = f"{target}/mirror/two/platforms:1"
    went: list[tuple[int, int]] = []
    copied = copy_image(nobody, source, copy, folder, lambda done, total: went.append((done, total)))
    size = 10 * MiB + len(b'{"os": "linux"}')
    assert (copied.digest, copied.size, copied.changed) == (index.digest, size, True)
    assert nobody.digest(copy) == nobody.digest(source) == index.digest
    for one in (amd64, arm64, index):
        assert nobody.raw_manifest(copy, one.digest) == (one.media_type, one.body)
        assert all(has_blob(nobody, copy, digest) for digest in one.blobs(copy))
    assert (went[-1], went == sorted(went)) == ((size, size), True)
    assert list(folder.iterdir()) == []

    with cable(target) as before:
        again = copy_image(nobody, source, f"{before.address}/mirror/two/platforms:1", folder)
        assert (again.digest, again.size, again.changed) == (index.digest, 0, False)
        assert [line.partition(" ")[0] for line in before.asked] == ["HEAD"]


@pytest.mark.parametrize("kinds", [(DOCKER_MANIFEST, DOCKER_LIST), (OCI_MANIFEST, OCI_INDEX)])
def test_both_kinds_of_images(
    kinds: tuple[str, str], shared: str, target: str, nobody: Registries, folder: Path
) -> None:
    name = f"{shared}/kinds/app:1"
    image = one_image(nobody, name, kinds[0].encode(), kinds[0])
    manifests = [image, an_index(image, kind=kinds[1])]
    push_manifests(nobody, name, manifests)
    copy_image(nobody, name, f"{target}/index:1", folder)
    assert nobody.raw_manifest(f"{target}/index", "1") == (kinds[1], manifests[1].body)
    copy_image(nobody, f"{shared}/kinds/app@{image.digest}", f"{target}/single:1", folder)
    assert nobody.raw_manifest(f"{target}/single", "1") == (kinds[0], image.body)


def test_an_image_without_a_tag_is_copied_by_its_digest(
    shared: str, target: str, nobody: Registries, folder: Path
) -> None:
    digest = push(shared, "bare/app", "1")
    copy_image(nobody, f"{shared}/bare/app@{digest}", f"{target}/bare/app@{digest}", folder)
    assert standing(nobody, f"{target}/bare/app", digest) == digest
    with pytest.raises(RegistryError, match="there is no such image"):
        nobody.digest(f"{target}/bare/app:latest")


@pytest.mark.usefixtures("at_once")
def test_a_copy_that_was_cut_off_goes_on(
    two_platforms: tuple[str, list[Manifest]], target: str, nobody: Registries, folder: Path
) -> None:
    source, [amd64, _, index] = two_platforms
    with cable(target) as before:
        before.up.append(7 * MiB)
        before.at_cut = lambda: before.up.extend([0] * 10)
        name = f"{before.address}/cut/off:1"
        with pytest.raises(RegistryUnreachable) as caught:
            copy_image(nobody, source, name, folder)
        assert (caught.value.hint or "").endswith("The tag was not changed. The same command goes on where it stopped.")
        assert list(folder.iterdir()) == []
        assert standing(nobody, f"{target}/cut/off", "1") is None
        assert all(has_blob(nobody, f"{target}/cut/off", digest) for digest in amd64.blobs(name))
        before.up.clear()
        before.at_cut = lambda: None
        assert copy_image(nobody, source, name, folder).size == 5 * MiB
    assert nobody.digest(f"{target}/cut/off:1") == index.digest


def test_within_a_registry_nothing_is_sent(
    two_platforms: tuple[str, list[Manifest]], nobody: Registries, folder: Path
) -> None:
    source, [*_, index] = two_platforms
    address, _, _ = source.partition("/")
    with cable(address) as before:
        name = source.replace(address, before.address)
        copied = copy_image(nobody, name, f"{before.address}/within/app:1", folder)
        assert (copied.digest, copied.size, copied.changed) == (index.digest, 0, True)
        assert max(before.sent, before.received) < MiB
    assert nobody.digest(f"{address}/within/app:1") == index.digest


def test_layers_that_images_share_are_sent_once(shared: str, target: str, nobody: Registries, folder: Path) -> None:
    mounts: dict[str, str] = {}
    sizes = []
    for repository in ("share/one", "share/two"):
        name = f"{shared}/{repository}:1"
        image = one_image(nobody, name, b"base" * MiB)
        push_manifests(nobody, name, [image])
        sizes.append(copy_image(nobody, name, f"{target}/{repository}:1", folder, mounts=mounts).size)
    assert sizes == [4 * MiB + len(b'{"os": "linux"}'), 0]
    assert nobody.digest(f"{target}/share/two:1") == nobody.digest(f"{shared}/share/two:1")
    assert set(mounts.values()) == {"share/one"}


def test_a_digest_that_is_there_is_known_without_the_source(
    shared: str, target: str, nobody: Registries, folder: Path
) -> None:
    digest = push(shared, "gone/app", "1")
    copy_image(nobody, f"{shared}/gone/app:1", f"{target}/gone/app:1", folder)
    nowhere = f"{target}/nowhere/app:1@{digest}"
    assert copy_image(nobody, nowhere, f"{target}/gone/app:1", folder).changed is False


def test_a_tag_that_was_moved_is_moved_in_the_copy(shared: str, target: str, nobody: Registries, folder: Path) -> None:
    for note in ("old", "new"):
        digest = push(shared, "moved/app", "1", note=note)
        assert copy_image(nobody, f"{shared}/moved/app:1", f"{target}/moved/app:1", folder).changed
        assert nobody.digest(f"{target}/moved/app:1") == digest


def test_an_image_that_lacks_a_part(shared: str, target: str, nobody: Registries, folder: Path) -> None:
    image = one_image(nobody, f"{shared}/lacks/app", b"part")
    push_manifests(nobody, f"{shared}/lacks/app:1", [image])
    layer = [*image.blobs("")][1]
    send(f"http://{shared}/v2/lacks/app/blobs/{layer}", b"", "", method="DELETE")
    with pytest.raises(RegistryError, match=f"does not have {layer}") as caught:
        copy_image(nobody, f"{shared}/lacks/app:1", f"{target}/lacks/app:1", folder)
    assert "The tag was not changed" in (caught.value.hint or "")
    assert standing(nobody, f"{target}/lacks/app", "1") is None


@pytest.mark.parametrize(
    ("kind", "body", "why"),
    [
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", b"{}", "of a kind that is not known"),
        (OCI_INDEX, b'{"manifests": [{"digest": "../../etc", "size": 1}]}', "is not as the OCI specification has it"),
        (OCI_INDEX, b'{"manifests": 3}', "is not as the OCI specification has it"),
        (OCI_MANIFEST, b'{"layers": [], "config": {"digest": "sha256:0a"}}', "is not as the OCI specification has it"),
        (OCI_MANIFEST, b'{"layers": {}}', "is not as the OCI specification has it"),
        (OCI_MANIFEST, b"[]", "a manifest is no JSON object"),
    ],
)
def test_what_is_no_image(kind: str, body: bytes, why: str, target: str, nobody: Registries, folder: Path) -> None:
    digest = Manifest(kind, body).digest
    answer = (200, {"Content-Type": kind, "Docker-Content-Digest": digest}, body)
    with (
        odd({"/v2/app/manifests/1": answer, f"/v2/app/manifests/{digest}": answer}) as (address, _),
        pytest.raises(RegistryError, match=why),
    ):
        copy_image(nobody, f"{address}/app:1", f"{target}/app:1", folder)


def test_layers_that_no_registry_holds_are_left_where_they_are() -> None:
    kept = {"mediaType": "application/octet-stream", "digest": f"sha256:{'0a' * 32}", "size": 1}
    foreign = {
        "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "digest": f"sha256:{'0b' * 32}",
        "size": 1,
        "urls": ["https://example.org/layer"],
    }
    body = json.dumps({"config": kept, "layers": [foreign]}).encode()
    assert Manifest(DOCKER_MANIFEST, body).blobs("app") == {kept["digest"]: 1}


def test_parts_come_before_what_is_made_of_them(two_platforms: tuple[str, list[Manifest]], nobody: Registries) -> None:
    source, manifests = two_platforms
    assert gather(nobody, source) == manifests
