"""The control client against real SuperLinks, one for each dialect of the Control API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from by_hand import RELEASES, Client, Federation, RefusalError, eventually, federation, write_app

pytestmark = pytest.mark.flower

RELEASE = pytest.mark.parametrize("release", RELEASES)


@pytest.fixture(scope="module", params=RELEASES)
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Federation, Client]]:
    with federation(request.param, tmp_path_factory.mktemp("federation")) as pair:
        yield pair


def test_hello_tells_the_release_and_the_first_line_the_nodes_of_before(running: tuple[Federation, Client]) -> None:
    there, client = running
    assert client.ask("hello")["flwr"] == there.release
    assert client.events[0] == {"event": "started"}


def test_a_supernode_goes_online(running: tuple[Federation, Client]) -> None:
    there, client = running
    assert client.ask("nodes") == []
    there.supernode()
    eventually(lambda: [node["online"] for node in client.ask("nodes")] == [True])
    [node] = client.ask("nodes")
    assert 0 < int(node["id"]) < 2**64
    there.terminate("supernode", timeout=30)
    eventually(lambda: not any(node["online"] for node in client.ask("nodes")))


def written(folder: Path) -> dict[Path, tuple[int, int, int]]:
    """Return what is in a folder, and when each was written; reading leaves its own mark, which does not count."""
    found = {path: path.stat() for path in folder.rglob("*")}
    return {path: (status.st_mode, status.st_size, status.st_mtime_ns) for path, status in found.items()}


def test_a_run_is_submitted_followed_and_finished(running: tuple[Federation, Client], tmp_path: Path) -> None:
    _, client = running
    app = write_app(tmp_path / "app")
    before = written(app)
    submitted = client.ask("submit", app=str(app), config={"name.of.line": "Zeile", "lines": 5})
    run = submitted["run"]
    client.ask("follow", run=run)
    client.wait(lambda: client.ended(run))

    assert [line for line in client.log(run).splitlines() if line.startswith("Zeile")] == [
        f"Zeile {n}" for n in range(5)
    ]
    [found] = client.ask("runs", run=run)
    assert (found["status"], found["sub"], found["details"]) == ("finished", "completed", "")
    assert found["pending_at"] <= found["starting_at"] <= found["running_at"] <= found["finished_at"]
    assert found in client.ask("runs")
    assert (submitted["fab_id"], submitted["fab_version"]) == ("tests/tiny", "1.0.0")
    assert submitted["fab_files"] == ["pyproject.toml", "tiny/__init__.py", "tiny/client.py", "tiny/server.py"]
    assert written(app) == before
    assert client.ask("stop", run=run) == {"stopped": False}


def test_following_can_begin_late_and_go_on_where_it_was(running: tuple[Federation, Client], tmp_path: Path) -> None:
    _, client = running
    run = client.ask("submit", app=str(write_app(tmp_path / "app")), config={})["run"]
    eventually(lambda: client.ask("runs", run=run)[0]["status"] == "finished")
    client.ask("follow", run=run)
    client.wait(lambda: client.ended(run))
    assert client.log(run).count("line 2") == 1

    last = max(event["at"] for event in client.events if event["event"] == "log" and event["run"] == run)
    client.events.clear()
    client.ask("follow", run=run, after=last)
    client.wait(lambda: client.ended(run))
    assert client.log(run) == ""


def test_a_run_is_stopped(running: tuple[Federation, Client], tmp_path: Path) -> None:
    _, client = running
    run = client.ask("submit", app=str(write_app(tmp_path / "app")), config={"lines": 1000})["run"]
    client.ask("follow", run=run)
    client.wait(lambda: "line 1" in client.log(run))
    assert client.ask("stop", run=run) == {"stopped": True}
    client.wait(lambda: client.ended(run))
    assert client.ask("runs", run=run)[0]["sub"] == "stopped"


def test_no_more_events_after_unfollow(running: tuple[Federation, Client], tmp_path: Path) -> None:
    _, client = running
    run = client.ask("submit", app=str(write_app(tmp_path / "app")), config={"lines": 20})["run"]
    client.ask("follow", run=run)
    client.wait(lambda: "line 1" in client.log(run))
    client.ask("unfollow", run=run)
    heard = len(client.events)
    eventually(lambda: client.ask("runs", run=run)[0]["status"] == "finished")
    assert len(client.events) == heard


def test_a_run_config_key_that_the_app_does_not_have(running: tuple[Federation, Client], tmp_path: Path) -> None:
    _, client = running
    with pytest.raises(RefusalError, match="'linse'; did you mean 'lines'") as caught:
        client.ask("submit", app=str(write_app(tmp_path / "app")), config={"linse": 3})
    assert caught.value.code == "bad-config"


def test_a_run_config_value_that_is_no_scalar(running: tuple[Federation, Client], tmp_path: Path) -> None:
    _, client = running
    with pytest.raises(RefusalError, match="'lines' is a list") as caught:
        client.ask("submit", app=str(write_app(tmp_path / "app")), config={"lines": [3]})
    assert caught.value.code == "bad-config"


def test_a_folder_that_is_no_app(running: tuple[Federation, Client], tmp_path: Path) -> None:
    _, client = running
    with pytest.raises(RefusalError, match=r"no pyproject\.toml") as caught:
        client.ask("submit", app=str(tmp_path), config={})
    assert caught.value.code == "bad-app"


@pytest.mark.parametrize("op", ["runs", "stop"])
@pytest.mark.parametrize("run", ["12345", "-1", "x", str(2**64)])
def test_a_run_that_is_not_there(running: tuple[Federation, Client], op: str, run: str) -> None:
    with pytest.raises(RefusalError) as caught:
        running[1].ask(op, run=run)
    assert caught.value.code == "not-found"


def test_following_a_run_that_is_not_there_ends(running: tuple[Federation, Client]) -> None:
    _, client = running
    client.ask("follow", run="12345")
    client.wait(lambda: client.ended("12345"))
    assert client.events[-1]["error"]["code"] == "not-found"


def test_requests_that_make_no_sense_are_answered(running: tuple[Federation, Client]) -> None:
    _, client = running
    with pytest.raises(RefusalError, match="'dance'") as caught:
        client.ask("dance")
    assert caught.value.code == "unsupported"
    with pytest.raises(RefusalError) as caught:
        client.ask("submit")
    assert caught.value.code == "internal"
    assert client.ask("hello")
    assert client.unreadable == []


@RELEASE
def test_a_killed_superlink_costs_no_line_and_doubles_none(release: str, tmp_path: Path) -> None:
    with federation(release, tmp_path / "federation") as (there, client):
        run = client.ask("submit", app=str(write_app(tmp_path / "app")), config={"lines": 30, "pause": 0.3})["run"]
        client.ask("follow", run=run)
        client.wait(lambda: "line 3" in client.log(run))
        there.kill("superlink")
        with pytest.raises(RefusalError) as caught:
            client.ask("runs", run=run)
        assert caught.value.code == "unavailable"
        with pytest.raises(RefusalError) as caught:
            client.ask("nodes")
        assert caught.value.code == "unavailable"
        there.superlink()
        client.wait(lambda: client.ended(run))
        # A ServerApp uploads again what the SuperLink stored just before it was killed: Flower has that twice.
        assert client.log(run) == there.stored_log()
        lines = [line for line in client.log(run).splitlines() if line.startswith("line ")]
        assert list(dict.fromkeys(lines)) == [f"line {number}" for number in range(30)]
        assert client.ask("runs", run=run)[0]["sub"] == "completed"


@RELEASE
def test_a_superlink_ends_when_asked_although_a_log_is_followed(release: str, tmp_path: Path) -> None:
    with federation(release, tmp_path / "federation") as (there, client):
        run = client.ask("submit", app=str(write_app(tmp_path / "app")), config={"lines": 1000})["run"]
        client.ask("follow", run=run)
        client.wait(lambda: "line 1" in client.log(run))
        there.kill("serverapps")
        there.terminate("superlink", timeout=30)


@RELEASE
def test_it_ends_with_its_standard_input_whatever_it_waits_for(release: str, tmp_path: Path) -> None:
    nobody = "127.0.0.1:9"
    client = Client(release, nobody, home=tmp_path)
    client.ask("hello")
    with pytest.raises(RefusalError) as caught:
        client.ask("runs")
    assert caught.value.code == "unavailable"
    client.ask("follow", run="12345")
    assert client.close() == 0
