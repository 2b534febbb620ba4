"""Signs images as cosign does with a key, in both of its forms, and puts that beside them."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from registry.pushing import BLOB, MANIFEST, send

Private = ec.EllipticCurvePrivateKey


def key() -> Private:
    return ec.generate_private_key(ec.SECP256R1())


def public(private: Private) -> bytes:
    return private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def put_blob(base: str, data: bytes) -> dict[str, Any]:
    """Push a blob; return its descriptor, but for its type."""
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    place = send(f"{base}/blobs/uploads/", b"", "application/octet-stream", method="POST").headers["Location"]
    place = place if place.startswith("http") else base.partition("/v2/")[0] + place
    send(f"{place}{'&' if '?' in place else '?'}digest={digest}", data, "application/octet-stream")
    return {"digest": digest, "size": len(data)}


def put_manifest(base: str, tag: str | None, layer: dict[str, Any], **more: Any) -> dict[str, Any]:
    config = {**put_blob(base, BLOB), "mediaType": "application/vnd.oci.image.config.v1+json"}
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer], **more}
    data = json.dumps(manifest).encode()
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    send(f"{base}/manifests/{tag or digest}", data, MANIFEST)
    return {"mediaType": MANIFEST, "digest": digest, "size": len(data)}


def payload(digest: str, reference: str) -> bytes:
    said = {
        "critical": {
            "identity": {"docker-reference": reference},
            "image": {"docker-manifest-digest": digest},
            "type": "cosign container image signature",
        },
        "optional": None,
    }
    return json.dumps(said, separators=(",", ":")).encode()


def sign_by_tag(address: str, repository: str, digest: str, private: Private, *, about: str = "") -> None:
    """Sign as cosign 2 does; `about` another image than the one that it is put beside."""
    base = f"http://{address}/v2/{repository}"
    content = payload(about or digest, f"{address}/{repository}")
    signature = base64.b64encode(private.sign(content, ec.ECDSA(hashes.SHA256()))).decode()
    layer = {
        **put_blob(base, content),
        "mediaType": "application/vnd.dev.cosign.simplesigning.v1+json",
        "annotations": {"dev.cosignproject.cosign/signature": signature},
    }
    put_manifest(base, f"{digest.replace(':', '-')}.sig", layer)


def bundle(digest: str, private: Private, predicate: str = "https://sigstore.dev/cosign/sign/v1") -> bytes:
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"digest": {"sha256": digest.removeprefix("sha256:")}}],
        "predicateType": predicate,
        "predicate": {},
    }
    kind, content = "application/vnd.in-toto+json", json.dumps(statement).encode()
    signed = f"DSSEv1 {len(kind)} {kind} {len(content)} ".encode() + content
    signature = private.sign(signed, ec.ECDSA(hashes.SHA256()))
    envelope = {
        "payload": base64.b64encode(content).decode(),
        "payloadType": kind,
        "signatures": [{"sig": base64.b64encode(signature).decode()}],
    }
    material = {"publicKey": {"hint": ""}, "tlogEntries": []}
    return json.dumps(
        {
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": material,
            "dsseEnvelope": envelope,
        }
    ).encode()


def sign_by_bundle(address: str, repository: str, digest: str, content: bytes) -> None:
    """Put a bundle beside an image as cosign 3 does where a registry cannot list what refers to it."""
    base = f"http://{address}/v2/{repository}"
    kind = "application/vnd.dev.sigstore.bundle.v0.3+json"
    put = put_manifest(
        base,
        None,
        {**put_blob(base, content), "mediaType": kind},
        artifactType=kind,
        subject={"mediaType": MANIFEST, "digest": digest, "size": 1},
    )
    index = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{**put, "artifactType": "application/vnd.oci.empty.v1+json"}],
    }
    data = json.dumps(index).encode()
    send(f"{base}/manifests/{digest.replace(':', '-')}", data, "application/vnd.oci.image.index.v1+json")
