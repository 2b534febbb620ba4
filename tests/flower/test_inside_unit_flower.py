"""The init of a unit with Flower itself: it becomes ready when it is, and lives and dies as one."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from by_hand import Client, eventually, write_app
from units import FederationInUnits, RunningUnit

from flowerbed import processes
from flowerbed.flower.release import Minor
from flowerbed.flower.releases import Row

pytestmark = [pytest.mark.flower, pytest.mark.timeout(600)]  # the first run on a machine installs Flower

TELLS_FROM = Minor(1, 30)
"""From then on a ServerApp that gets a SIGTERM tells the SuperLink; 1.25 to 1.29, tried too, do not."""


@pytest.fixture(scope="module")
def federation(row: Row, tmp_path_factory: pytest.TempPathFactory) -> FederationInUnits:
    return FederationInUnits(str(row.release), tmp_path_factory.mktemp(f"units-{row.minor}"))


@pytest.fixture(scope="module")
def superlink(federation: FederationInUnits) -> Iterator[RunningUnit]:
    with federation.superlink_unit() as unit:
        yield unit


@pytest.fixture(scope="module")
def client(federation: FederationInUnits, superlink: RunningUnit) -> Iterator[Client]:
    eventually(superlink.ready)
    client = Client(
        federation.release, federation.control, home=federation.folder / "client", database=federation.database
    )
    yield client
    client.close()


def test_a_superlink_is_ready_when_it_answers(federation: FederationInUnits, client: Client) -> None:
    assert client.ask("runs") == []
    assert (federation.folder / "superlink" / "made").is_dir()


def test_a_supernode_and_its_superexec_are_ready_when_connected(
    federation: FederationInUnits, superlink: RunningUnit, client: Client
) -> None:
    with federation.supernode_unit() as unit:
        eventually(unit.ready)
        eventually(lambda: any(node["online"] for node in client.ask("nodes")))
        tree = "\n".join(processes.command_line(pid) for pid in unit.tree())
        assert "partition-id=4 num-partitions=9" in tree
        assert unit.terminate() == 0
        assert unit.tree() == []
        prefixes = {line.split(" | ")[0] for line in unit.lines if not line.startswith("[flowerbed: ")}
        assert prefixes == {"supernode", "superexec"}
        eventually(lambda: not any(node["online"] for node in client.ask("nodes")))  # it said goodbye
    assert superlink.process.poll() is None


@pytest.mark.parametrize("victim", ["flower-supernode", "flower-superexec"])
def test_a_killed_half_ends_the_other(federation: FederationInUnits, client: Client, victim: str) -> None:
    with federation.supernode_unit() as unit:
        eventually(unit.ready)
        os.kill(unit.find(lambda command: f"/{victim} " in command), signal.SIGKILL)
        assert unit.ends() == 128 + signal.SIGKILL
        assert unit.tree() == []


ASKS_ONE = """\
import time

from flwr.app import Message, RecordDict
from flwr.serverapp import ServerApp

app = ServerApp()


@app.main()
def main(grid, context):
    while {node} not in grid.get_node_ids():
        time.sleep(0.2)
    asked = Message(content=RecordDict(), message_type="train", dst_node_id={node})
    [reply] = grid.send_and_receive([asked])
    print("replied:", reply.has_content(), flush=True)
"""
WORKS = """\
import time
from pathlib import Path

from flwr.app import Message, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


@app.train()
def train(message, context):
    print("at work", flush=True)
    while not Path("{go}").exists():
        time.sleep(0.05)
    return Message(content=RecordDict(), reply_to=message)
"""


def known(client: Client) -> set[str]:
    """Return the SuperNodes' ids; those that other tests killed count as online for a while."""
    return {node["id"] for node in client.ask("nodes")}


def ask_one(client: Client, before: set[str], app: Path, clientapp: str) -> str:
    """Submit an app that asks the SuperNode that came after those; return the run's id."""
    eventually(lambda: bool(known(client) - before))
    (node,) = known(client) - before
    write_app(app, server=ASKS_ONE.format(node=node), client=clientapp)
    run = str(client.ask("submit", app=str(app), config={})["run"])
    client.ask("follow", run=run)
    return run


def test_a_supernode_whose_run_ended_while_it_pulled_a_message_starts_afresh(
    federation: FederationInUnits, client: Client, tmp_path: Path
) -> None:
    """Else it would take the reply to that for the answer to its next message, and so on."""
    before = known(client)
    with federation.serverapp_unit() as serverapp, federation.supernode_unit(hold=tmp_path) as unit:
        eventually(lambda: serverapp.ready() and unit.ready())
        run = ask_one(client, before, tmp_path / "app", WORKS.format(go=tmp_path / "never"))
        eventually((tmp_path / "held").exists)
        unit.says("at work")
        client.ask("stop", run=run)
        (tmp_path / "let-go").touch()
        unit.says("Ignoring message")
        assert unit.ends() == 70  # as its docstring says of a wedge
        assert "works on a message of a run that is over" in unit.text


def test_a_supernode_that_is_asked_to_end_replies_to_what_it_works_on(
    federation: FederationInUnits, client: Client, tmp_path: Path
) -> None:
    go, before = tmp_path / "go", known(client)
    with federation.serverapp_unit() as serverapp, federation.supernode_unit() as unit:
        eventually(lambda: serverapp.ready() and unit.ready())
        run = ask_one(client, before, tmp_path / "app", WORKS.format(go=go))
        unit.says("at work")
        unit.process.terminate()
        unit.says("[flowerbed: asked to end; what it works on has 60 s to get to the ServerApp]")
        go.touch()
        assert unit.ends() == 0
        assert "[flowerbed: its last reply was fetched; it ends]" in unit.lines
        client.wait(lambda: "replied: True" in client.log(run))


def test_a_serverapp_tells_of_its_end_when_its_unit_is_asked_to_end(
    row: Row, federation: FederationInUnits, client: Client, tmp_path: Path
) -> None:
    if row.minor < TELLS_FROM:
        pytest.skip(f"a ServerApp of {row.minor} tells nobody of a SIGTERM: the SuperLink notices when it is overdue")
    with federation.serverapp_unit() as unit:
        eventually(unit.ready)
        run = client.ask("submit", app=str(write_app(tmp_path / "app")), config={"lines": 1000})["run"]
        client.ask("follow", run=run)
        client.wait(lambda: "line 1" in client.log(run))
        assert unit.terminate() == 0
        [found] = client.ask("runs", run=run)
        assert (found["status"], found["sub"]) == ("finished", "failed")


def test_nobody_is_ready_before_there_is_a_superlink(row: Row, tmp_path: Path) -> None:
    alone = FederationInUnits(str(row.release), tmp_path)
    with alone.supernode_unit() as unit:
        unit.says("supernode | [flowerbed: waiting until 127.0.0.1:")
        unit.says("superexec | [flowerbed: waiting until 127.0.0.1:")
        status, why = unit.probe("/ready")
        assert status == 503
        assert "supernode is not connected to 127.0.0.1:" in why
        assert "superexec is not connected to 127.0.0.1:" in why
        with alone.superlink_unit() as superlink:
            eventually(lambda: superlink.ready() and unit.ready())
            assert superlink.terminate() == 0
        assert unit.probe("/ready") == (200, "ready")  # the SuperLink may come back
        assert unit.terminate() == 0
