"""A server's certificate that somebody else issues: whether Flower's programs will be content with it. Pure.

Older Pythons end a chain only at a certificate that signed itself, so the bundle needs the root; what lies between may
be in either file (docs.python.org, `ssl`, VERIFY_X509_PARTIAL_CHAIN; RFC 5280, section 6; RFC 6125, section 6.4).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

_LONGEST_CHAIN = 10


def certificate_faults(chain: bytes, key: bytes, names: Sequence[str], now: datetime) -> Iterator[str]:
    """Yield what is wrong with a server's certificate and its key, each as a clause.

    Parameters
    ----------
    chain : bytes
        The certificate, perhaps with those between it and its root, in PEM.
    key : bytes
        Its private key, in PEM.
    names : sequence of str
        By which it is dialled.
    now : datetime
        The time, in UTC.
    """
    certificates = _read(chain)
    if not certificates:
        yield "tls.crt holds no certificate in PEM"
        return
    leaf = certificates[0]
    try:
        public = serialization.load_pem_private_key(key, None).public_key()
        if public != leaf.public_key():
            yield "tls.key is not the key of the certificate in tls.crt"
    except (ValueError, TypeError, UnsupportedAlgorithm):
        yield "tls.key holds no private key in PEM without a passphrase"
    yield from _times(leaf, "the certificate", now)
    missing = [name for name in names if not _is_for(leaf, name)]
    if missing:
        yield f"the certificate is not for {', '.join(missing)}"
    try:
        uses = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        if ExtendedKeyUsageOID.SERVER_AUTH not in uses and ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE not in uses:
            yield "the certificate is not for servers: its extended key usage lacks serverAuth"
    except x509.ExtensionNotFound:
        pass


def bundle_faults(chain: bytes, bundle: bytes, now: datetime) -> Iterator[str]:
    """Yield why those who trust a bundle do not trust a server's certificate; nothing if they do."""
    trusted, certificates = _read(bundle), _read(chain)
    if not trusted:
        yield "it holds no certificate in PEM"
        return
    if not certificates:
        return  # somebody else says so
    subject = certificates[0]
    for _ in range(_LONGEST_CHAIN):
        if subject.issuer == subject.subject and subject in trusted:
            if subject is not certificates[0]:
                yield from _times(subject, f"of those who signed, {_called(subject)}", now)
            return
        issuers = [one for one in [*trusted, *certificates[1:]] if one != subject and _signed(subject, one)]
        if not issuers:
            yield f"it has nobody who signed {_called(subject)}, whose issuer is {subject.issuer.rfc4514_string()}"
            return
        subject = next((one for one in issuers if not list(_times(one, "", now))), issuers[0])
    yield f"more than {_LONGEST_CHAIN} certificates lie between it and the server's"


def _times(certificate: x509.Certificate, who: str, now: datetime) -> Iterator[str]:
    if now < certificate.not_valid_before_utc:
        yield f"{who} is not good before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
    if now >= certificate.not_valid_after_utc:
        yield f"{who} ended on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"


def _is_for(certificate: x509.Certificate, name: str) -> bool:
    try:
        given = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    addresses = {str(address) for address in given.get_values_for_type(x509.IPAddress)}
    return name in addresses or _matches(name.lower(), map(str.lower, given.get_values_for_type(x509.DNSName)))


def _matches(name: str, patterns: Iterable[str]) -> bool:
    """Tell whether a name is one of some, of which the first label may be a star."""
    first, _, rest = name.partition(".")
    return any(pattern in (name, f"*.{rest}" if first and rest else name) for pattern in patterns)


def _signed(certificate: x509.Certificate, by: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(by)
        return by.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False


def _called(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string() or "the certificate, which has no name of its own"


def _read(content: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError:
        return []
