"""Keys in the forms that Flower reads."""

from __future__ import annotations

import secrets
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from flowerbed.errors import TrustError
from flowerbed.trust import keys


@given(st.binary(min_size=56, max_size=56))
def test_any_randomness_makes_a_key_and_the_same_makes_the_same(noise: bytes) -> None:
    def random(count: int) -> bytes:
        return noise[:count]

    private = keys.new_node_key(random)
    assert keys.public_line(private, "here") == keys.public_line(keys.new_node_key(random), "here")
    number = ec_key(private).private_numbers().private_value
    assert 0 < number < keys._ORDERS["secp384r1"]


def ec_key(private: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_ssh_private_key(private, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def test_both_public_forms_are_those_of_the_private_key() -> None:
    private = keys.new_node_key(secrets.token_bytes)
    line, pem = keys.public_line(private, "here"), keys.public_pem(private, "here")
    assert line.startswith(b"ecdsa-sha2-nistp384 ")
    assert private.startswith(b"-----BEGIN OPENSSH PRIVATE KEY-----")
    assert pem.startswith(b"-----BEGIN PUBLIC KEY-----")
    assert serialization.load_ssh_public_key(line) == serialization.load_pem_public_key(pem)
    assert serialization.load_ssh_public_key(line) == ec_key(private).public_key()


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="there is no ssh-keygen")
def test_openssh_reads_the_key_and_prints_the_same_fingerprint(tmp_path: Path) -> None:
    path = tmp_path / "node"
    path.write_bytes(keys.new_node_key(secrets.token_bytes))
    path.chmod(0o600)
    line = subprocess.run(["ssh-keygen", "-y", "-f", path], capture_output=True, check=True).stdout
    assert line.split()[:2] == keys.public_line(path.read_bytes(), "here").split()[:2]
    (tmp_path / "node.pub").write_bytes(line)
    told = subprocess.run(["ssh-keygen", "-l", "-f", tmp_path / "node.pub"], capture_output=True, check=True, text=True)
    assert told.stdout.split()[1] == keys.fingerprint(line)


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="there is no ssh-keygen")
def test_a_key_with_a_passphrase_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "node"
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-b", "384", "-N", "a passphrase", "-f", path], check=True)
    with pytest.raises(TrustError, match="without a passphrase"):
        keys.public_line(path.read_bytes(), "here")


def in_openssh(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a key\n",
        in_openssh(ed25519.Ed25519PrivateKey.generate()),
        in_openssh(ec.generate_private_key(ec.SECP256R1())),
        keys.private_pem(ec.generate_private_key(ec.SECP384R1())),
    ],
    ids=["empty", "text", "Ed25519", "P-256", "PEM"],
)
def test_a_key_in_another_format_is_refused(content: bytes) -> None:
    with pytest.raises(TrustError) as caught:
        keys.public_line(content, "nodes/site-0")
    assert str(caught.value) == (
        "nodes/site-0: this is no private key on the curve P-384, in OpenSSH's format and without a passphrase\n"
        "`ssh-keygen -t ecdsa -b 384 -N ''` makes one; or remove it, and `flowerbed up` makes a new one."
    )


RSA = rsa.generate_private_key(65537, 2048).private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)


@pytest.mark.parametrize("content", [b"", b"-----BEGIN PRIVATE KEY-----\n", RSA], ids=["empty", "cut off", "RSA"])
def test_a_certificates_key_in_another_format_is_refused(content: bytes) -> None:
    with pytest.raises(TrustError, match="no private key on an elliptic curve, in PEM"):
        keys.read_private_pem(content, "ca.key")
