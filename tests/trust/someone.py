"""Authorities and servers of somebody else's making."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = datetime.now(UTC).replace(microsecond=0)
NAME = "demo-superlink"


class Someone:
    """An authority or a server of somebody else's making."""

    certificate: x509.Certificate

    def __init__(
        self,
        name: str,
        by: Someone | None = None,
        *,
        ca: bool = False,
        server: bool = False,
        names: tuple[str, ...] = (NAME, "127.0.0.1"),
        use: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
        begins: float = -1,
        ends: float = 30,
        old: bool = False,
    ) -> None:
        self.key = rsa.generate_private_key(65537, 2048) if old else ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        signer = by or self
        issuer = by.certificate.subject if by else subject
        built = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW + timedelta(days=begins))
            .not_valid_after(NOW + timedelta(days=ends))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key()), critical=False)
        )
        if ca:
            built = built.add_extension(_SIGNS, critical=True)
        if server:
            given = x509.SubjectAlternativeName([_general(one) for one in names])
            built = built.add_extension(given, critical=False)
            built = built.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        self.certificate = built.sign(signer.key, hashes.SHA256())

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def private(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )


_SIGNS = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
