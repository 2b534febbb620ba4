"""The launcher waits for whom its program dials: before it begins, and a SuperExec before it imports Flower, too.

It lets a SuperNode of the same name leave before this one joins, unless it has to wait anyway.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest

from flowerbed_inside.launch import launcher
from flowerbed_inside.variables import SETTLE, WAIT_FOR

Launch = Callable[..., None]


@pytest.fixture
def launch(monkeypatch: pytest.MonkeyPatch) -> Launch:
    """Launch a program that dials a port, and does what it is given when it is imported and when it begins."""

    def run(name: str, port: int, imported: Callable[[], None], begins: Callable[[], None]) -> None:
        def load() -> Callable[[], None]:
            imported()
            return begins

        entry = SimpleNamespace(group="console_scripts", name=name, load=load)
        monkeypatch.setattr(launcher, "distribution", lambda _: SimpleNamespace(version="1.42.0", entry_points=[entry]))
        monkeypatch.setattr(sys, "argv", [f"/programs/{name}"])
        monkeypatch.setenv(WAIT_FOR, f"127.0.0.1:{port}")
        launcher.run(name)

    return run


@pytest.fixture
def begin(launch: Launch, monkeypatch: pytest.MonkeyPatch) -> Callable[[float, int], float]:
    """Have a SuperNode begin that dials a port; return after how many seconds it does."""

    def run(settle: float, port: int) -> float:
        monkeypatch.setenv(SETTLE, str(settle))
        times = [time.monotonic()]
        launch("flower-supernode", port, lambda: None, lambda: times.append(time.monotonic()))
        began, at = times
        return at - began

    return run


@pytest.fixture
def closed() -> Iterator[socket.socket]:
    """Give a socket that has a port and does not listen yet."""
    with socket.socket() as there:
        there.bind(("127.0.0.1", 0))
        yield there


def port_of(there: socket.socket) -> int:
    """Return a socket's port."""
    return int(there.getsockname()[1])


def test_it_begins_later_where_the_superlink_answers_at_once(
    begin: Callable[[float, int], float], capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as there:
        assert begin(0.5, port_of(there)) >= 0.5
        assert "one of this name may have just left" in capsys.readouterr().out
        assert begin(0, port_of(there)) >= 0
        assert capsys.readouterr().out == ""


def test_it_begins_at_once_where_it_had_to_wait(
    begin: Callable[[float, int], float], closed: socket.socket, capsys: pytest.CaptureFixture[str]
) -> None:
    timer = threading.Timer(0.3, closed.listen)
    timer.start()
    begin(3600, port_of(closed))  # else this test would not end
    timer.join()
    assert "may have just left" not in capsys.readouterr().out


# A SuperExec, whose import would be in the way of whom it waits for.


def answering(closed: socket.socket, seen: list[str]) -> Callable[[], None]:
    """Return what has a socket listen, and notes that."""

    def listen() -> None:
        seen.append("answers")
        closed.listen()

    return listen


def test_a_superexec_is_imported_when_what_it_dials_answers(launch: Launch, closed: socket.socket) -> None:
    seen: list[str] = []
    timer = threading.Timer(0.3, answering(closed, seen))
    timer.start()
    launch("flower-superexec", port_of(closed), lambda: seen.append("imported"), lambda: seen.append("begins"))
    timer.join()
    assert seen == ["answers", "imported", "begins"]


def test_a_superexec_is_imported_anyway_when_that_takes_long(
    launch: Launch, closed: socket.socket, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(launcher, "IMPORT_SECONDS", 0.2)
    seen: list[str] = []

    def imported() -> None:
        seen.append("imported")
        threading.Timer(0.2, answering(closed, seen)).start()

    launch("flower-superexec", port_of(closed), imported, lambda: seen.append("begins"))
    assert seen == ["imported", "answers", "begins"]
    assert capsys.readouterr().out.count("waiting until") == 1


def test_a_supernode_is_imported_while_it_waits(launch: Launch, closed: socket.socket) -> None:
    launch("flower-supernode", port_of(closed), closed.listen, lambda: None)  # else this test would not end


# A door that answers some knocks and not others.


def test_a_knock_that_is_lost_does_not_keep_the_next_one() -> None:
    with socket.socket() as there:
        there.bind(("127.0.0.1", 0))
        there.listen(0)
        door = launcher.Door(f"127.0.0.1:{port_of(there)}")
        with socket.create_connection(there.getsockname()):  # a full queue: Linux drops who comes then
            assert not door.answers(0.2)
            there.accept()[0].close()
            assert door.answers(0.5)  # the first knock is repeated by the kernel after a second
        assert not door.knocks


def test_a_knock_is_not_waited_for_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as there:
        there.bind(("127.0.0.1", 0))
        there.listen(0)
        door = launcher.Door(f"127.0.0.1:{port_of(there)}")
        with socket.create_connection(there.getsockname()):
            assert not door.answers(0.01)
            assert not door.answers(0.01)
            assert len(door.knocks) == 2
            monkeypatch.setattr(launcher, "KNOCK_SECONDS", 0.0)
            assert not door.answers(0.01)
            assert len(door.knocks) == 1
            there.accept()[0].close()
            assert door.answers(60)  # and puts the rest away


@pytest.mark.parametrize("address", ["nobody.invalid:9092", "127.0.0.1:{port}", "[::1]:{port}"])
def test_who_is_turned_away_knows_at_once(address: str, closed: socket.socket) -> None:
    assert not launcher.Door(address.format(port=port_of(closed))).answers(60)


def test_all_addresses_of_a_name_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as there:
        port = port_of(there)
        both = [
            (family, socket.SOCK_STREAM, 0, "", where)
            for family, where in ((socket.AF_INET6, ("::1", port, 0, 0)), (socket.AF_INET, ("127.0.0.1", port)))
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
        assert launcher.Door(f"superlink:{port}").answers(5)
