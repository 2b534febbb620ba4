"""Flower's own programs and our control client, told of good and of bad certificates, keys and secrets.

Each is a real SuperLink with a certificate of our making, and real programs that dial it.
"""

from __future__ import annotations

import secrets
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from by_hand import RELEASES, Federation, RefusalError, eventually, write_app
from trusted import client_of, files_of, protected, public_key

from flowerbed.flower.values import Trusted
from flowerbed.trust import certificates, files
from flowerbed.trust.certificates import Issued
from flowerbed.trust.folder import TrustFolder
from flowerbed.trust.servers import LOOPBACK

OLDEST, NEWEST = RELEASES[0], RELEASES[-1]
NOW = datetime.now(UTC)

pytestmark = pytest.mark.timeout(600)  # the first run on a machine installs Flower


def serve(federation: Federation, issued: Issued) -> None:
    """Have the SuperLink show another certificate."""
    for what, content in (
        (Trusted.SUPERLINK_CERTIFICATE, issued.certificate),
        (Trusted.SUPERLINK_KEY, issued.key),
    ):
        path = federation.folder / what.name
        files.write(path, content)
        federation.trusted[what] = path


@pytest.mark.parametrize("release", RELEASES)
def test_a_known_supernode_gets_in_over_tls_and_no_other(release: str, tmp_path: Path) -> None:
    with protected(release, tmp_path / "bed") as federation:
        federation.superlink()
        with closing(client_of(federation)) as client:
            assert client.ask("runs") == []
            client.ask("admit", key=public_key(federation), replaces=None)
            federation.supernode("known")
            eventually(lambda: [node["online"] for node in client.ask("nodes")] == [True])
            assert [node["key"] for node in client.ask("nodes")] == [public_key(federation)]

            trust = TrustFolder(tmp_path / "bed" / "trust")
            federation.trusted = files_of(trust, "foreign")
            federation.supernode("foreign")
            eventually(lambda: federation.ended("foreign") is not None or refused(federation.log("foreign")))
            assert [node["online"] for node in client.ask("nodes")] == [True]
            assert client.ask("nodes")[0]["key"] != public_key(federation)


def refused(log: str) -> bool:
    return any(word in log for word in ("not recognized", "No SuperNode", "not registered", "Public key", "PERMISSION"))


@pytest.mark.parametrize("release", RELEASES)
def test_a_dismissed_supernode_is_out_within_a_minute_and_stays_out(release: str, tmp_path: Path) -> None:
    with protected(release, tmp_path / "bed") as federation:
        federation.superlink()
        with closing(client_of(federation)) as client:
            client.ask("runs")
            key = public_key(federation)
            client.ask("admit", key=key, replaces=None)
            federation.supernode("known")
            eventually(lambda: [node["online"] for node in client.ask("nodes")] == [True])

            assert client.ask("dismiss", keys=[key]) == {"dismissed": [key]}

            eventually(lambda: client.ask("nodes") == [], timeout=60)
            eventually(lambda: given_up(federation, "known"), timeout=60)
            federation.supernode("again")
            eventually(lambda: federation.ended("again") is not None or refused(federation.log("again")))
            assert client.ask("nodes") == []
            assert client.ask("dismiss", keys=[key]) == {"dismissed": []}


def given_up(federation: Federation, name: str) -> bool:
    """Tell whether a SuperNode that was let in has noticed that it is not any more; on 1.31 its process stays."""
    return federation.ended(name) is not None or any(word in federation.log(name) for word in ("ERROR", "Traceback"))


@pytest.mark.parametrize("release", RELEASES)
def test_after_a_kill_there_is_a_new_node_at_once(release: str, tmp_path: Path) -> None:
    with protected(release, tmp_path / "bed") as federation:
        federation.superlink()
        trust = TrustFolder(tmp_path / "bed" / "trust")
        with closing(client_of(federation)) as client:
            client.ask("runs")
            client.ask("admit", key=public_key(federation), replaces=None)
            federation.supernode("first")
            eventually(lambda: [node["online"] for node in client.ask("nodes")] == [True])
            [before] = client.ask("nodes")
            federation.kill("first")

            old = public_key(federation)
            if federation.row.contract.registers_nodes:
                trust.renew_node("known", random=secrets.token_bytes)
            client.ask("admit", key=public_key(federation), replaces=old)
            federation.supernode("second")

            eventually(lambda: [node["online"] for node in client.ask("nodes")] == [True], timeout=30)
            [after] = client.ask("nodes")
            assert after["id"] != before["id"]


@pytest.mark.parametrize("release", [OLDEST, NEWEST])
@pytest.mark.parametrize("fault", ["another authority", "expired", "not good yet", "another name"])
def test_a_superlink_with_a_bad_certificate_is_refused_by_all_who_dial_it(
    release: str, fault: str, tmp_path: Path
) -> None:
    with protected(release, tmp_path / "bed") as federation:
        trust = TrustFolder(tmp_path / "bed" / "trust")
        ours = Issued(trust.certificate("ca").read_bytes(), trust.key("ca").read_bytes())
        days = timedelta(days=10)
        match fault:
            case "another authority":
                other = certificates.new_authority("test", now=NOW, random=secrets.token_bytes)
                bad = certificates.issue(other, LOOPBACK, now=NOW, until=NOW + days, random=secrets.token_bytes)
            case "expired":
                then = NOW - days
                bad = certificates.issue(ours, LOOPBACK, now=then, until=NOW - days / 2, random=secrets.token_bytes)
            case "not good yet":
                then = NOW + days
                bad = certificates.issue(ours, LOOPBACK, now=then, until=then + days, random=secrets.token_bytes)
            case _:
                names = ("elsewhere.example.org",)
                bad = certificates.issue(ours, names, now=NOW, until=NOW + days, random=secrets.token_bytes)
        serve(federation, bad)
        federation.superlink()

        with closing(client_of(federation)) as client:
            with pytest.raises(RefusalError) as caught:
                client.ask("runs")
            assert caught.value.code == "unavailable"
        federation.supernode("supernode", "--max-retries", "1")
        eventually(lambda: federation.ended("supernode") is not None)
        assert "ertificate" in federation.log("supernode") or "UNAVAILABLE" in federation.log("supernode")
        if federation.database.exists():
            assert no_node_in(federation)


def no_node_in(federation: Federation) -> bool:
    """Tell whether the SuperLink has heard of no SuperNode."""
    import sqlite3

    with closing(sqlite3.connect(federation.database)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        return "node" not in tables or connection.execute("SELECT count(*) FROM node").fetchone() == (0,)


ASKING = """\
from flwr.app import Message, MessageType, RecordDict
from flwr.serverapp import ServerApp

app = ServerApp()


@app.main()
def main(grid, context):
    while not (nodes := list(grid.get_node_ids())):
        pass
    content = RecordDict({})
    [reply] = grid.send_and_receive([Message(content, dst_node_id=nodes[0], message_type=MessageType.QUERY)])
    print("the ClientApp answered" if not reply.has_error() else reply.error, flush=True)
"""
ANSWERING = """\
from flwr.app import Message
from flwr.clientapp import ClientApp

app = ClientApp()


@app.query()
def query(message, context):
    return Message(message.content, reply_to=message)
"""


@pytest.mark.parametrize("release", [OLDEST, NEWEST])
def test_a_message_goes_both_ways_where_two_authorities_are_kept_apart(release: str, tmp_path: Path) -> None:
    with protected(release, tmp_path / "bed") as federation:
        federation.superlink()
        with closing(client_of(federation)) as client:
            client.ask("runs")
            client.ask("admit", key=public_key(federation), replaces=None)
            federation.supernode("known")
            federation.serverapps()
            federation.clientapps(supernode="known")
            app = write_app(tmp_path / "app", server=ASKING, client=ANSWERING)
            run = client.ask("submit", app=str(app), config={})["run"]
            client.ask("follow", run=run)
            client.wait(lambda: client.ended(run))
            assert "the ClientApp answered" in client.log(run)


@pytest.mark.parametrize("release", RELEASES[1:])
def test_a_superexec_with_another_secret_or_none_gets_no_work(release: str, tmp_path: Path) -> None:
    with protected(release, tmp_path / "bed") as federation:
        right = federation.trusted[Trusted.SUPEREXEC_SECRET]
        federation.superlink()
        wrong = tmp_path / "bed" / "wrong"
        files.write(wrong, secrets.token_bytes(32))
        federation.trusted[Trusted.SUPEREXEC_SECRET] = wrong
        with closing(client_of(federation)) as client:
            run = client.ask("submit", app=str(write_app(tmp_path / "app")), config={})["run"]
            federation.serverapps()
            federation.serverapps("unsigned", signing=False)
            names = ("serverapps", "unsigned")
            eventually(lambda: all(turned_away(federation, name) for name in names))
            assert [one["status"] for one in client.ask("runs")] == ["pending"]
            for name in names:
                if federation.ended(name) is None:
                    federation.kill(name)

            federation.trusted[Trusted.SUPEREXEC_SECRET] = right
            federation.serverapps()
            eventually(lambda: [one["status"] for one in client.ask("runs", run=run)] == ["finished"])


def turned_away(federation: Federation, name: str) -> bool:
    return federation.ended(name) is not None or "authent" in federation.log(name).lower()
