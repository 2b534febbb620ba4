"""Certificates, judged by OpenSSL as a TLS client does, in its strictest mode."""

from __future__ import annotations

import secrets
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flowerbed.errors import TrustError
from flowerbed.trust import certificates
from flowerbed.trust.certificates import Issued

NOW = datetime.now(UTC).replace(microsecond=0)
NAMES = ("localhost", "127.0.0.1", "::1", "fl.example.org")


def authority(now: datetime = NOW) -> Issued:
    return certificates.new_authority("study", now=now, random=secrets.token_bytes)


def server(by: Issued, names: tuple[str, ...] = NAMES, now: datetime = NOW, days: float | None = 90) -> Issued:
    until = None if days is None else now + timedelta(days=days)
    return certificates.issue(by, names, now=now, until=until, random=secrets.token_bytes)


def handshake(serving: Issued, trusted: bytes, name: str, folder: Path) -> None:
    """Have a client that trusts an authority greet a server under a name; raises if it does not accept it."""
    (folder / "pair.pem").write_bytes(serving.certificate + serving.key)
    there = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    there.load_cert_chain(folder / "pair.pem")
    here = ssl.create_default_context(cadata=trusted.decode())
    here.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = here.wrap_bio(to_client, to_server, server_hostname=name)
    answering = there.wrap_bio(to_server, to_client, server_side=True)
    pending = [client, answering]
    while pending:
        side = pending.pop(0)
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            pending.append(side)


@pytest.mark.parametrize("name", NAMES)
def test_a_client_accepts_the_server_under_each_of_its_names(name: str, tmp_path: Path) -> None:
    ca = authority()
    handshake(server(ca), ca.certificate, name, tmp_path)


def test_a_client_accepts_what_is_good_as_long_as_the_authority(tmp_path: Path) -> None:
    ca = authority()
    long = server(ca, days=None)
    handshake(long, ca.certificate, "localhost", tmp_path)
    assert certificates.describe(long.certificate, "").not_after == certificates.describe(ca.certificate, "").not_after


@pytest.mark.parametrize(
    ("serving", "trusted", "name", "why"),
    [
        ("good", "other", "localhost", "unable to get local issuer"),
        ("good", "ca", "elsewhere.example.org", "Hostname mismatch"),
        ("good", "ca", "127.0.0.2", "IP address mismatch"),
        ("expired", "ca", "localhost", "certificate has expired"),
        ("not yet", "ca", "localhost", "not yet valid"),
        ("by a server", "ca", "localhost", "unable to get local issuer|invalid CA"),
    ],
)
def test_a_client_refuses_any_other(serving: str, trusted: str, name: str, why: str, tmp_path: Path) -> None:
    ca = authority(NOW - timedelta(days=100))
    good = server(ca)
    offered = {
        "good": good,
        "expired": server(ca, now=NOW - timedelta(days=91)),
        "not yet": server(ca, now=NOW + timedelta(days=1)),
        "by a server": server(good),  # which is no authority
    }
    known = {"ca": ca.certificate, "other": authority().certificate}
    with pytest.raises(ssl.SSLCertVerificationError, match=why):
        handshake(offered[serving], known[trusted], name, tmp_path)


def test_a_clients_certificate_is_a_clients_and_no_servers(tmp_path: Path) -> None:
    ca = authority()
    days = NOW + timedelta(days=90)
    client = certificates.issue_client(ca, "runs", "Callers", now=NOW, until=days, random=secrets.token_bytes)
    assert certificates.calls(client, ca.certificate, "Callers", "x")
    assert not certificates.calls(client, ca.certificate, "Others", "x")
    assert not certificates.calls(client, authority().certificate, "Callers", "x")
    assert not certificates.calls(Issued(client.certificate, server(ca).key), ca.certificate, "Callers", "x")
    assert not certificates.calls(server(ca), ca.certificate, "Callers", "x")
    assert certificates.describe(client.certificate, "x").not_after == days
    with pytest.raises(ssl.SSLCertVerificationError, match="purpose"):
        handshake(client, ca.certificate, "localhost", tmp_path)


@pytest.mark.parametrize("trusted", ["old", "new", "both"])
def test_while_an_authority_takes_over_those_who_know_either_accept_the_server(trusted: str, tmp_path: Path) -> None:
    old, new = authority(NOW - timedelta(days=3)), authority()
    known = {"old": old.certificate, "new": new.certificate, "both": new.certificate + old.certificate}
    leaf = server(new)
    with_handover = Issued(leaf.certificate + handover(old, new), leaf.key)
    handshake(with_handover, known[trusted], "localhost", tmp_path)
    if trusted == "old":
        with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
            handshake(leaf, known[trusted], "localhost", tmp_path)


def test_an_authority_that_has_ended_vouches_for_nobody_and_does_no_harm(tmp_path: Path) -> None:
    old, new = authority(NOW - timedelta(days=3651)), authority()
    leaf = server(new)
    serving = Issued(leaf.certificate + handover(old, new, NOW - timedelta(days=9)), leaf.key)
    handshake(serving, new.certificate, "localhost", tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate has expired"):
        handshake(serving, old.certificate, "localhost", tmp_path)


def handover(old: Issued, new: Issued, now: datetime = NOW) -> bytes:
    return certificates.hand_over(old, new.certificate, now=now, random=secrets.token_bytes)


def test_a_bundle_is_split_into_its_certificates() -> None:
    made = [authority().certificate for _ in range(3)]
    assert certificates.split(b"".join(made)) == made
    assert certificates.split(b"# said before\n" + b"\n".join(made))[1:] == made[1:]
    assert certificates.split(b"") == []


def test_nothing_outlives_the_authority() -> None:
    ca = authority()
    ends = certificates.describe(ca.certificate, "").not_after
    late = server(ca, days=4000)
    assert certificates.describe(late.certificate, "").not_after == ends == NOW + timedelta(days=3650)


def test_a_certificate_says_what_it_is_for() -> None:
    said = certificates.describe(server(authority()).certificate, "")
    assert said.names == NAMES
    assert (said.not_before, said.not_after) == (NOW - timedelta(hours=1), NOW + timedelta(days=90))
    assert len(said.fingerprint) == 64


def test_a_certificate_is_due_when_a_third_of_its_time_is_left() -> None:
    said = certificates.describe(server(authority()).certificate, "")
    assert not said.due(NOW)
    assert not said.due(NOW + timedelta(days=59))
    assert said.due(NOW + timedelta(days=61))
    assert said.due(NOW - timedelta(days=1))


def test_it_is_told_who_signed_and_whose_key_it_is() -> None:
    one, other = authority(), authority()
    mine = server(one)
    assert certificates.signed_by(mine.certificate, one.certificate, "")
    assert not certificates.signed_by(mine.certificate, other.certificate, "")
    assert certificates.belong_together(mine, "")
    assert not certificates.belong_together(Issued(mine.certificate, server(one).key), "")


def test_every_key_and_serial_number_is_its_own() -> None:
    ca = authority()
    made = [server(ca) for _ in range(5)]
    assert len({one.key for one in made}) == 5
    assert len({certificates.describe(one.certificate, "").fingerprint for one in made}) == 5


@pytest.mark.parametrize(
    "content", [b"", b"nothing", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_what_is_no_certificate_is_refused(content: bytes) -> None:
    with pytest.raises(TrustError, match=r"^superlink.crt: this is no certificate in PEM"):
        certificates.describe(content, "superlink.crt")
