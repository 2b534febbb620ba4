"""Signatures of images as cosign makes them with a key, found in the image's repository and verified.

Two forms are known. Up to cosign 2: the tag ``sha256-DIGEST.sig`` has a layer for each signature, a payload of "simple
signing", with the signature over it as an annotation (sigstore/cosign, specs/SIGNATURE_SPEC.md). From cosign 3 on: what
refers to the image has a Sigstore bundle, whose DSSE envelope holds an in-toto statement about the image's digest
(specs/BUNDLE_SPEC.md there; secure-systems-lab/dsse, protocol.md). Transparency logs and certificates do not count.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from flowerbed.errors import SignatureRefused
from flowerbed.registry.client import Registries

SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
SIGNATURE = "dev.cosignproject.cosign/signature"
SIMPLE_TYPE = "cosign container image signature"
BUNDLE = "application/vnd.dev.sigstore.bundle"
STATEMENT = "application/vnd.in-toto+json"
PREDICATE = "https://sigstore.dev/cosign/sign/v1"

MOST = 50
"""How many signatures of one image are looked at."""

Key = ec.EllipticCurvePublicKey


@dataclass(frozen=True)
class Signed:
    """One signature that was found.

    Parameters
    ----------
    message : bytes
        What was signed.
    signature : bytes
        The signature over it.
    digests : tuple of str
        The images that the message is about.
    """

    message: bytes
    signature: bytes
    digests: tuple[str, ...]


def read_key(content: bytes, where: str) -> Key:
    """Return a public key as cosign writes it into ``cosign.pub``.

    Raises
    ------
    SignatureRefused
        If it is none on the curve P-256.
    """
    found: object
    try:
        found = serialization.load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm):
        found = None
    if not isinstance(found, ec.EllipticCurvePublicKey) or not isinstance(found.curve, ec.SECP256R1):
        raise SignatureRefused(
            "this is no public key on the curve P-256, in PEM",
            where=where,
            hint="`cosign generate-key-pair` makes a pair; `cosign public-key --key cosign.key` prints it again.",
        )
    return found


def verify(registries: Registries, image: str, digest: str, keys: Sequence[Key]) -> str:
    """Return what is said against an image: empty if one of the keys has signed it.

    Parameters
    ----------
    registries : Registries
        Where it is asked for.
    image, digest : str
        Which.
    keys : sequence of Key
        Whose signature is enough, each.

    Raises
    ------
    RegistryError
        If the registry does not tell.
    """
    count, others = 0, 0
    for signed in _all(registries, image, digest):
        count += 1
        if not any(_verifies(signed, key) for key in keys):
            continue
        if digest in signed.digests:
            return ""
        others += 1
    if not count:
        return "it has no signature"
    if others:
        return "it carries a signature that was made for another image"
    return f"it has {'a signature' if count == 1 else f'{count} signatures'}, and none by a key that is named"


def _all(registries: Registries, image: str, digest: str) -> Iterator[Signed]:
    """Yield an image's signatures in the order in which cosign 3 looks for them: bundles, then the tag."""
    # Of what kind one is only its manifest tells: cosign 3 lists bundles as application/vnd.oci.empty.v1+json.
    for one in registries.referrers(image, digest)[:MOST]:
        yield from _in_manifest(registries, image, registries.manifest(image, str(one.get("digest"))))
    yield from _in_manifest(registries, image, registries.manifest(image, f"{digest.replace(':', '-')}.sig"))


def _in_manifest(registries: Registries, image: str, manifest: dict[str, Any] | None) -> Iterator[Signed]:
    layers = (manifest or {}).get("layers")
    for layer in (layers if isinstance(layers, list) else [])[:MOST]:
        kind = str(layer.get("mediaType") or "") if isinstance(layer, dict) else ""
        if kind != SIMPLE_SIGNING and not kind.startswith(BUNDLE):
            continue
        content = registries.blob(image, str(layer.get("digest")))
        if content is None:
            continue
        signed = simple(content, layer.get("annotations")) if kind == SIMPLE_SIGNING else bundled(content)
        if signed is not None:
            yield signed


def simple(payload: bytes, annotations: object) -> Signed | None:
    """Return the signature over a payload of simple signing; None if there is none that can be read."""
    critical = _json(payload).get("critical")
    said = critical if isinstance(critical, dict) else {}
    image = said.get("image")
    digest = image.get("docker-manifest-digest") if isinstance(image, dict) else None
    signature = _decoded(annotations.get(SIGNATURE) if isinstance(annotations, dict) else None)
    if said.get("type") != SIMPLE_TYPE or not isinstance(digest, str) or signature is None:
        return None
    return Signed(payload, signature, (digest,))


def bundled(content: bytes) -> Signed | None:
    """Return the signature in a Sigstore bundle; None if there is none that can be read."""
    envelope = _json(content).get("dsseEnvelope")
    if not isinstance(envelope, dict) or envelope.get("payloadType") != STATEMENT:
        return None
    payload = _decoded(envelope.get("payload"))
    signatures = envelope.get("signatures")
    first = signatures[0] if isinstance(signatures, list) and len(signatures) == 1 else None
    signature = _decoded(first.get("sig") if isinstance(first, dict) else None)
    if payload is None or signature is None:
        return None
    statement = _json(payload)
    if statement.get("predicateType") != PREDICATE:  # an attestation says other things of an image
        return None
    subjects = statement.get("subject")
    digests = [one.get("digest") for one in subjects if isinstance(one, dict)] if isinstance(subjects, list) else []
    named = tuple(f"sha256:{one.get('sha256')}" for one in digests if isinstance(one, dict))
    return Signed(_pae(STATEMENT, payload), signature, named)


def _pae(kind: str, payload: bytes) -> bytes:
    """Return what DSSE signs: the pre-authentication encoding of a payload and its type."""
    return b"DSSEv1 %d %s %d %s" % (len(kind.encode()), kind.encode(), len(payload), payload)


def _verifies(signed: Signed, key: Key) -> bool:
    try:
        key.verify(signed.signature, signed.message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def _decoded(text: object) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True) if isinstance(text, str) else None
    except (binascii.Error, ValueError):
        return None


def _json(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
