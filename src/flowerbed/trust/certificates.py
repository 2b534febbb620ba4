"""Certificates: a federation's own authority, and what it issues. Pure: time and randomness come in as arguments."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from flowerbed.errors import TrustError
from flowerbed.trust.keys import Random, new_key, private_pem, read_private_pem

AUTHORITY_DAYS = 3650

_SKEW = timedelta(hours=1)  # a peer's clock may be behind
_LONGEST_COMMON_NAME = 64  # RFC 5280, ub-common-name


@dataclass(frozen=True)
class Issued:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True)
class Described:
    """What a certificate says.

    Parameters
    ----------
    names : tuple of str
        The host names and addresses that it is for.
    not_before, not_after : datetime
        When it is good, in UTC.
    fingerprint : str
        The SHA-256 of the certificate, in hexadecimal digits.
    """

    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    fingerprint: str

    def due(self, now: datetime) -> bool:
        """Tell whether it should be renewed: a third of its time is left, or it is not good yet."""
        return now < self.not_before or now >= self.not_after - (self.not_after - self.not_before) / 3


def new_authority(federation: str, *, now: datetime, random: Random) -> Issued:
    """Return a federation's own certificate authority: it can sign servers' certificates, and no other authority's."""
    key = new_key(ec.SECP256R1(), random)
    name = _name(f"Flowerbed {federation}")
    built = (
        _builder(name, name, key.public_key(), now, now + timedelta(days=AUTHORITY_DAYS), random)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Issued(built.public_bytes(serialization.Encoding.PEM), private_pem(key))


def hand_over(old: Issued, new: bytes, *, now: datetime, random: Random) -> bytes:
    """Return a certificate by which an authority vouches for its successor: RFC 4210, section 4.4, "NewWithOld".

    A server that shows it beside its own certificate is believed by programs that know only the old authority, and
    those need not be started again. It is good as long as the old authority is. Both have one name, so it does not
    count for the length of a path (RFC 5280, section 4.2.1.9), which the old authority limits.
    """
    signer = x509.load_pem_x509_certificate(old.certificate)
    successor = x509.load_pem_x509_certificate(new)
    key = successor.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):  # it is by `new_authority`
        raise TypeError("an authority of another kind")
    end = min(signer.not_valid_after_utc, successor.not_valid_after_utc)
    built = (
        _builder(successor.subject, signer.subject, key, now, end, random)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(_signed_by(signer), critical=False)
        .sign(read_private_pem(old.key, "the authority's key"), hashes.SHA256())
    )
    return built.public_bytes(serialization.Encoding.PEM)


def split(bundle: bytes) -> list[bytes]:
    """Return each of the certificates that a file holds one after another."""
    end = b"-----END CERTIFICATE-----"
    return [part.strip() + b"\n" + end + b"\n" for part in bundle.split(end)[:-1]]


def issue(authority: Issued, names: Sequence[str], *, now: datetime, until: datetime | None, random: Random) -> Issued:
    """Return a server's certificate, signed by an authority.

    Parameters
    ----------
    authority : Issued
        Who signs.
    names : sequence of str
        Host names and IP addresses, at least one.
    now : datetime
        The time, in UTC.
    until : datetime or None
        When it ends; None for as long as the authority is good.
    random : callable
        Gives random bytes.
    """
    given = x509.SubjectAlternativeName([_general_name(name) for name in names])
    return _leaf(
        authority, _name(names[0]), ExtendedKeyUsageOID.SERVER_AUTH, given, now=now, until=until, random=random
    )


def issue_client(
    authority: Issued, name: str, organisation: str, *, now: datetime, until: datetime, random: Random
) -> Issued:
    """Return the certificate of somebody who calls, signed by an authority; no server can use it.

    Parameters
    ----------
    authority : Issued
        Who signs.
    name, organisation : str
        Who it is, and what they may: the subject's common name and organisation.
    now, until : datetime
        The time, in UTC, and when it ends.
    random : callable
        Gives random bytes.
    """
    subject = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation), *_name(name)],
    )
    client = ExtendedKeyUsageOID.CLIENT_AUTH
    return _leaf(authority, subject, client, None, now=now, until=until, random=random)


def calls(there: Issued, authority: bytes, organisation: str, where: str) -> bool:
    """Tell whether who calls can go on with their certificate: whole, by this authority, and for a client like them."""
    found = _certificate(there.certificate, where)
    said = {str(one.value) for one in found.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)}
    return belong_together(there, where) and signed_by(there.certificate, authority, where) and said == {organisation}


def describe(certificate: bytes, where: str) -> Described:
    """Return what a certificate says.

    Raises
    ------
    TrustError
        If it is none; `where` says which file.
    """
    found = _certificate(certificate, where)
    try:
        given = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = tuple(str(name.value) for name in given)
    except x509.ExtensionNotFound:
        names = ()
    return Described(
        names,
        found.not_valid_before_utc,
        found.not_valid_after_utc,
        hashlib.sha256(found.public_bytes(serialization.Encoding.DER)).hexdigest(),
    )


def serves(there: Issued, authority: bytes, names: Sequence[str], where: str) -> bool:
    """Tell whether a server can go on with its certificate: whole, by this authority, and for these names."""
    said = describe(there.certificate, where)
    return (
        belong_together(there, where)
        and signed_by(there.certificate, authority, where)
        and set(said.names) == set(names)
    )


def belong_together(issued: Issued, where: str) -> bool:
    """Tell whether a private key is that of a certificate."""
    key = read_private_pem(issued.key, where)
    return key.public_key() == _certificate(issued.certificate, where).public_key()


def same_key(one: bytes, other: bytes, where: str) -> bool:
    """Tell whether two certificates are for the same key."""
    return _certificate(one, where).public_key() == _certificate(other, where).public_key()


def signed_by(certificate: bytes, authority: bytes, where: str) -> bool:
    """Tell whether an authority signed a certificate."""
    try:
        _certificate(certificate, where).verify_directly_issued_by(_certificate(authority, where))
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _leaf(
    authority: Issued,
    subject: x509.Name,
    usage: x509.ObjectIdentifier,
    called: x509.SubjectAlternativeName | None,
    *,
    now: datetime,
    until: datetime | None,
    random: Random,
) -> Issued:
    signer = x509.load_pem_x509_certificate(authority.certificate)
    end = signer.not_valid_after_utc if until is None else min(until, signer.not_valid_after_utc)
    key = new_key(ec.SECP256R1(), random)
    builder = (
        _builder(subject, signer.subject, key.public_key(), now, end, random)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(_signed_by(signer), critical=False)
    )
    if called is not None:
        builder = builder.add_extension(called, critical=False)
    built = builder.sign(read_private_pem(authority.key, "the authority's key"), hashes.SHA256())
    return Issued(built.public_bytes(serialization.Encoding.PEM), private_pem(key))


def _certificate(content: bytes, where: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(content)
    except ValueError:
        raise TrustError(
            "this is no certificate in PEM",
            where=where,
            hint="Move it away and run `flowerbed up` again: what is missing is made anew.",
        ) from None


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime,
    until: datetime,
    random: Random,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(int.from_bytes(random(20), "big") >> 1 | 1)  # positive and at most 20 octets: RFC 5280
        .not_valid_before(now - _SKEW)
        .not_valid_after(until)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:_LONGEST_COMMON_NAME])])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _signed_by(signer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    identifier = signer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )
