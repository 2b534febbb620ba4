"""Signatures are found in a real registry and verified. What cosign makes was tried by hand: docs/security.md."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cluster import registry as real
from flowerbed.errors import RegistryError, SignatureRefused
from flowerbed.registry.client import Registries
from flowerbed.registry.signatures import Key, read_key, verify
from registry.pushing import push
from registry.signing import bundle, key, public, sign_by_bundle, sign_by_tag
from registry.test_client import odd

pytestmark = pytest.mark.usefixtures("registry_here")

MINE, OTHER = key(), key()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("registry")
    with real.serving(folder / "images", folder) as address:
        yield address


@pytest.fixture
def registries() -> Iterator[Registries]:
    with closing(Registries({})) as made:
        yield made


def known(*private: object) -> list[Key]:
    return [read_key(public(one), "cosign.pub") for one in private]  # type: ignore[arg-type]


def said(registries: Registries, address: str, repository: str, digest: str, *keys: object) -> str:
    return verify(registries, f"{address}/{repository}@{digest}", digest, known(*(keys or (MINE,))))


def test_a_signature_beside_its_tag(address: str, registries: Registries) -> None:
    digest = push(address, "tag/app", "1")
    assert said(registries, address, "tag/app", digest) == "it has no signature"
    sign_by_tag(address, "tag/app", digest, MINE)
    assert said(registries, address, "tag/app", digest) == ""
    assert said(registries, address, "tag/app", digest, OTHER, MINE) == ""
    assert said(registries, address, "tag/app", digest, OTHER) == "it has a signature, and none by a key that is named"


def test_a_signature_in_a_bundle(address: str, registries: Registries) -> None:
    digest = push(address, "bundle/app", "1")
    sign_by_bundle(address, "bundle/app", digest, bundle(digest, MINE))
    assert said(registries, address, "bundle/app", digest) == ""
    assert said(registries, address, "bundle/app", digest, OTHER).startswith("it has a signature, and none")


def test_either_is_enough(address: str, registries: Registries) -> None:
    digest = push(address, "both/app", "1")
    sign_by_bundle(address, "both/app", digest, bundle(digest, OTHER))
    assert said(registries, address, "both/app", digest) != ""
    sign_by_tag(address, "both/app", digest, MINE)
    assert said(registries, address, "both/app", digest) == ""


def test_a_signature_of_another_image_is_not_this_ones(address: str, registries: Registries) -> None:
    good, evil = push(address, "moved/app", "1", note="good"), push(address, "moved/app", "2", note="evil")
    sign_by_tag(address, "moved/app", evil, MINE, about=good)
    sign_by_bundle(address, "moved/app", evil, bundle(good, MINE))
    why = "it carries a signature that was made for another image"
    assert said(registries, address, "moved/app", evil) == why


def test_a_payload_that_was_changed_is_not_signed(address: str, registries: Registries) -> None:
    digest = push(address, "changed/app", "1")
    content = bundle(digest, MINE)
    other = push(address, "changed/app", "2", note="other")
    signature = bundle(other, MINE)
    swapped = content[: content.index(b'"signatures"')] + signature[signature.index(b'"signatures"') :]
    sign_by_bundle(address, "changed/app", digest, swapped)
    assert said(registries, address, "changed/app", digest) == "it has a signature, and none by a key that is named"


def test_an_attestation_is_no_signature(address: str, registries: Registries) -> None:
    digest = push(address, "attested/app", "1")
    sign_by_bundle(address, "attested/app", digest, bundle(digest, MINE, "https://slsa.dev/provenance/v1"))
    assert said(registries, address, "attested/app", digest) == "it has no signature"


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"dsseEnvelope": {"payload": 1}}', b"\xff\xfe"])
def test_what_is_no_bundle_counts_as_none(content: bytes, address: str, registries: Registries) -> None:
    digest = push(address, "odd/app", "1", note=repr(content))
    sign_by_bundle(address, "odd/app", digest, content)
    assert said(registries, address, "odd/app", digest) == "it has no signature"


def test_a_registry_that_gives_another_blob_is_found_out(registries: Registries) -> None:
    digest, blob = f"sha256:{'0a' * 32}", f"sha256:{'0b' * 32}"
    layer = f'{{"mediaType": "application/vnd.dev.cosign.simplesigning.v1+json", "digest": "{blob}"}}'
    answers: dict[str, tuple[int, dict[str, str], bytes]] = {
        f"/v2/app/referrers/{digest}": (200, {}, b'{"manifests": []}'),
        f"/v2/app/manifests/{digest.replace(':', '-')}.sig": (200, {}, f'{{"layers": [{layer}]}}'.encode()),
        f"/v2/app/blobs/{blob}": (200, {}, b"else"),
    }
    with odd(answers) as (address, _), pytest.raises(RegistryError, match="answers with something else"):
        verify(registries, f"{address}/app@{digest}", digest, known(MINE))


def test_only_keys_on_p256_are_taken(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec

    for content in (b"", b"nothing", public(ec.generate_private_key(ec.SECP384R1()))):
        with pytest.raises(SignatureRefused, match="no public key on the curve P-256"):
            read_key(content, "cosign.pub")
