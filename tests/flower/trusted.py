"""A federation started by hand that has certificates, keys and secrets."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from by_hand import Client, Federation

from flowerbed.flower.contract import Protection
from flowerbed.flower.values import Trusted
from flowerbed.trust import keys
from flowerbed.trust.folder import TrustFolder

EVERYTHING = Protection(tls=True, node_auth=True)
NOW = datetime.now(UTC)


@contextmanager
def protected(release: str, folder: Path) -> Iterator[Federation]:
    """A federation that has all of its files, and nothing running yet."""
    trust = trust_folder(folder)
    federation = Federation(release, folder / "federation", EVERYTHING, files_of(trust, "known"))
    try:
        yield federation
    finally:
        federation.close()


def trust_folder(folder: Path) -> TrustFolder:
    """Make a folder with all that a federation trusts; one of two SuperNodes with keys may join."""
    trust = TrustFolder(folder / "trust")
    folder.mkdir()
    for one in (trust, at_home(trust)):
        one.make_servers("test", (), now=NOW, random=secrets.token_bytes)
    trust.make_nodes(["known", "foreign"], random=secrets.token_bytes)
    trust.node_list.write_bytes(trust.node_public_key("known").read_bytes())  # and not the other
    return trust


def at_home(trust: TrustFolder) -> TrustFolder:
    """Another authority's, for what SuperNodes serve: as where somebody else issues the SuperLink's certificate."""
    return TrustFolder(trust.root.parent / "home")


def files_of(trust: TrustFolder, node: str) -> dict[Trusted, Path]:
    """Return where the files are, with those of one SuperNode."""
    return {
        Trusted.AUTHORITY: trust.certificate("ca"),
        Trusted.SUPERLINK_CERTIFICATE: trust.certificate("superlink"),
        Trusted.SUPERLINK_KEY: trust.key("superlink"),
        Trusted.LOOPBACK_AUTHORITY: at_home(trust).certificate("ca"),
        Trusted.LOOPBACK_CERTIFICATE: at_home(trust).certificate("loopback"),
        Trusted.LOOPBACK_KEY: at_home(trust).key("loopback"),
        Trusted.SUPEREXEC_SECRET: trust.secret,
        Trusted.NODE_LIST: trust.node_list,
        Trusted.NODE_KEY: trust.node_key(node),
        Trusted.NODE_PUBLIC_KEY: trust.node_public_key(node),
    }


def client_of(federation: Federation) -> Client:
    """Return a control client of a federation."""
    return Client(
        federation.release,
        federation.control,
        home=federation.folder / "client",
        database=federation.database,
        authority=federation.trusted[Trusted.AUTHORITY],
    )


def public_key(federation: Federation) -> str:
    """The public half of a federation's SuperNode's key, as a SuperLink is told of it."""
    private = federation.trusted[Trusted.NODE_KEY]
    return keys.public_pem(private.read_bytes(), str(private)).decode()
