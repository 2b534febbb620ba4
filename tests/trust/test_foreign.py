"""What is said against a certificate that somebody else issued, beside what a real TLS client says of it."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from flowerbed.trust.certificates import Issued
from flowerbed.trust.foreign import bundle_faults, certificate_faults
from trust.someone import NAME, NOW, Someone

EARLIER = NOW - timedelta(days=0.5)

Make = Callable[[], tuple[Issued, bytes]]


def accepted(serving: Issued, trusted: bytes, name: str, folder: Path) -> bool:
    """Ask a TLS client that ends chains only at a root, as those of older Pythons do."""
    (folder / "pair.pem").write_bytes(serving.certificate + serving.key)
    there = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    there.load_cert_chain(folder / "pair.pem")
    here = ssl.create_default_context(cadata=trusted.decode())
    here.verify_flags &= ~ssl.VERIFY_X509_PARTIAL_CHAIN
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = here.wrap_bio(to_client, to_server, server_hostname=name)
    answering = there.wrap_bio(to_server, to_client, server_side=True)
    pending: list[ssl.SSLObject] = [client, answering]
    while pending:
        side = pending.pop(0)
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            pending.append(side)
        except ssl.SSLCertVerificationError:
            return False
    return True


def root() -> Someone:
    return Someone("Root", ca=True)


def straight() -> tuple[Issued, bytes]:
    ca = root()
    leaf = Someone("leaf", ca, server=True)
    return Issued(leaf.pem, leaf.private), ca.pem


def by_rsa() -> tuple[Issued, bytes]:
    ca = Someone("Root", ca=True, old=True)
    leaf = Someone("leaf", ca, server=True, old=True)
    return Issued(leaf.pem, leaf.private), root().pem + ca.pem


def between(*, where: str) -> tuple[Issued, bytes]:
    ca = root()
    middle = Someone("Middle", ca, ca=True)
    leaf = Someone("leaf", middle, server=True)
    sent = leaf.pem + (middle.pem if where == "sent" else b"")
    trusted = (middle.pem if where in ("trusted", "no root") else b"") + (ca.pem if where != "no root" else b"")
    return Issued(sent, leaf.private), trusted


def leaf(**more: Any) -> tuple[Issued, bytes]:
    ca = root()
    made = Someone("leaf", ca, server=True, **more)
    return Issued(made.pem, made.private), ca.pem


def by_a_server() -> tuple[Issued, bytes]:
    ca = root()
    middle = Someone("Middle", ca, server=True)
    made = Someone("leaf", middle, server=True)
    return Issued(made.pem + middle.pem, made.private), ca.pem


def by_another_of_the_name() -> tuple[Issued, bytes]:
    serving, _ = straight()
    return serving, root().pem


def root_that_ended() -> tuple[Issued, bytes]:
    ca = Someone("Root", ca=True, ends=-0.5)
    made = Someone("leaf", ca, server=True)
    return Issued(made.pem, made.private), ca.pem


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (straight, ""),
        (by_rsa, ""),
        (lambda: between(where="sent"), ""),
        (lambda: between(where="trusted"), ""),
        (lambda: leaf(names=("*.example.org", NAME)), ""),
        (lambda: between(where="nowhere"), "it has nobody who signed CN=leaf, whose issuer is CN=Middle"),
        (lambda: between(where="no root"), "it has nobody who signed CN=Middle, whose issuer is CN=Root"),
        (lambda: leaf(names=("elsewhere",)), f"the certificate is not for {NAME}"),
        (
            lambda: leaf(begins=-9, ends=-0.5),
            f"the certificate ended on {EARLIER:%Y-%m-%d %H:%M} UTC",
        ),
        (lambda: leaf(begins=1), f"the certificate is not good before {NOW + timedelta(days=1):%Y-%m-%d %H:%M} UTC"),
        (
            lambda: leaf(use=ExtendedKeyUsageOID.CLIENT_AUTH),
            "the certificate is not for servers: its extended key usage lacks serverAuth",
        ),
        (by_a_server, "it has nobody who signed CN=leaf, whose issuer is CN=Middle"),
        (by_another_of_the_name, "it has nobody who signed CN=leaf, whose issuer is CN=Root"),
        (root_that_ended, f"of those who signed, CN=Root ended on {EARLIER:%Y-%m-%d %H:%M} UTC"),
    ],
)
def test_what_is_said_and_what_a_client_says(
    make: Callable[[], tuple[Issued, bytes]], why: str, tmp_path: Path
) -> None:
    serving, trusted = make()
    faults = [
        *certificate_faults(serving.certificate, serving.key, (NAME,), NOW),
        *bundle_faults(serving.certificate, trusted, NOW),
    ]
    assert faults == ([why] if why else [])
    assert accepted(serving, trusted, NAME, tmp_path) is not bool(why)


@pytest.mark.parametrize(
    ("name", "fits"), [("a.example.org", True), ("a.b.example.org", False), ("example.org", False)]
)
def test_a_star_stands_for_one_label(name: str, tmp_path: Path, *, fits: bool) -> None:
    serving, trusted = leaf(names=("*.example.org",))
    assert (not list(certificate_faults(serving.certificate, serving.key, (name,), NOW))) is fits
    assert accepted(serving, trusted, name, tmp_path) is fits


def test_what_cannot_be_read() -> None:
    serving, trusted = straight()
    other = straight()[0]
    assert list(certificate_faults(b"", serving.key, (NAME,), NOW)) == ["tls.crt holds no certificate in PEM"]
    assert list(certificate_faults(serving.certificate, other.key, (NAME,), NOW)) == [
        "tls.key is not the key of the certificate in tls.crt"
    ]
    assert list(certificate_faults(serving.certificate, trusted, (NAME,), NOW)) == [
        "tls.key holds no private key in PEM without a passphrase"
    ]
    assert list(bundle_faults(serving.certificate, b"nothing", NOW)) == ["it holds no certificate in PEM"]
