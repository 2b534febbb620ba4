"""Loopback ports."""

from __future__ import annotations

import os
import socket

import pytest

from flowerbed.errors import PortTaken
from flowerbed.local import ports


def test_free_ports_are_all_different() -> None:
    found = ports.find_free(50)
    assert len(set(found)) == 50
    assert all(ports.is_free(port) for port in found)


def test_a_taken_port_names_who_has_it() -> None:
    with socket.create_server((ports.LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
        assert not ports.is_free(port)
        with pytest.raises(PortTaken, match=rf"port {port} for the Control API is taken by process {os.getpid()} "):
            ports.require_free(port, purpose="the Control API")


def test_connections_are_told_apart_by_process_and_port() -> None:
    with socket.create_server((ports.LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
        assert not ports.connected_to([os.getpid()], port)
        with socket.create_connection((ports.LOOPBACK, port)):
            assert ports.connected_to([os.getpid()], port)
            assert not ports.connected_to([os.getpid()], port + 1)
            assert not ports.connected_to([], port)


def test_only_a_listener_answers() -> None:
    with socket.create_server((ports.LOOPBACK, 0)) as server:
        address = f"{ports.LOOPBACK}:{server.getsockname()[1]}"
        assert ports.answers(address)
    assert not ports.answers(address)
