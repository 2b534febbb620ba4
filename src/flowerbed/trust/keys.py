"""Keys: what they are made from, and the forms in which Flower reads them. Pure: randomness comes in as an argument.

A SuperNode's key is an elliptic curve key on P-384 in OpenSSH's format; `flower-supernode` of every release reads that,
and 1.22 wants the public half in a file beside it. A SuperLink keeps and is told public halves as PEM.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from flowerbed.errors import TrustError

Random = Callable[[int], bytes]
"""Returns so many random bytes."""

SECRET_BYTES = 32
"""As long as the hash with which SuperExecs sign: more would gain nothing."""

SPARE_KEYS = 3
"""How many keys a SuperNode has that nobody gives a fresh one when it is started again: the one that it was killed with
is in use for about a minute."""

_PRIVATE = re.compile(rb"-----BEGIN OPENSSH PRIVATE KEY-----\n.+?-----END OPENSSH PRIVATE KEY-----\n", re.DOTALL)

_ORDERS = {
    "secp256r1": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "secp384r1": 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
}
_EXTRA_BYTES = 8


def new_key(curve: ec.EllipticCurve, random: Random) -> ec.EllipticCurvePrivateKey:
    """Return a key made from random bytes: FIPS 186-5, appendix A.2.1, with 64 bits more than the order has."""
    order = _ORDERS[curve.name]
    number = int.from_bytes(random(order.bit_length() // 8 + _EXTRA_BYTES), "big") % (order - 1) + 1
    return ec.derive_private_key(number, curve)


def new_node_key(random: Random) -> bytes:
    """Return a SuperNode's private key as its file holds it."""
    return new_key(ec.SECP384R1(), random).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )


def new_spare_keys(node: str, random: Random) -> bytes:
    """Return several keys of one SuperNode in one file: each private, and its public half in the line behind it."""
    private = [new_node_key(random) for _ in range(SPARE_KEYS)]
    return b"".join(key + public_line(key, node) + b"\n" for key in private)


def private_keys(content: bytes) -> list[bytes]:
    """Return the private keys that a file holds, one or several; what is none of them is left out."""
    return _PRIVATE.findall(content)


def public_line(private: bytes, where: str) -> bytes:
    """Return the public half of a SuperNode's private key as one line of OpenSSH's.

    Raises
    ------
    TrustError
        If it is no such key; `where` says whose.
    """
    return _node_key(private, where).public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)


def public_pem(private: bytes, where: str) -> bytes:
    """Return the public half of a SuperNode's private key as a SuperLink keeps it.

    Raises
    ------
    TrustError
        If it is no such key; `where` says whose.
    """
    return _node_key(private, where).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def pem_of_line(line: bytes, where: str) -> bytes:
    """Return a public key that OpenSSH's line holds as a SuperLink keeps it.

    Raises
    ------
    TrustError
        If it is no such line; `where` says whose.
    """
    try:
        found = serialization.load_ssh_public_key(line)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise TrustError(f"this is no public key as OpenSSH writes it: {error}", where=where) from None
    return found.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def fingerprint(line: bytes) -> str:
    """Return a public key's fingerprint as ``ssh-keygen -l`` prints it."""
    blob = base64.b64decode(line.split()[1])
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a server's private key as Flower's programs read it."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def read_private_pem(content: bytes, where: str) -> ec.EllipticCurvePrivateKey:
    """Return the private key of a certificate.

    Raises
    ------
    TrustError
        If it is none on an elliptic curve; `where` says which file.
    """
    key: object
    try:
        key = serialization.load_pem_private_key(content, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TrustError(
            "this is no private key on an elliptic curve, in PEM and without a passphrase",
            where=where,
            hint="Move it away and run `flowerbed up` again: what is missing is made anew.",
        )
    return key


def _node_key(private: bytes, where: str) -> ec.EllipticCurvePublicKey:
    key: object
    try:
        key = serialization.load_ssh_private_key(private, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP384R1):
        raise TrustError(
            "this is no private key on the curve P-384, in OpenSSH's format and without a passphrase",
            where=where,
            hint="`ssh-keygen -t ecdsa -b 384 -N ''` makes one; or remove it, and `flowerbed up` makes a new one.",
        )
    return key.public_key()
