"""`up` again and again: only what changed is touched, and federations do not get into each other's way."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from federation.beds import PATIENCE_SECONDS, Bed, Said
from flowerbed.errors import UsageError
from flowerbed.local.layout import StateFolder
from flowerbed.local.plan import Plan
from flowerbed.local.runtime import LocalRuntime
from flowerbed.local.store import Store
from flowerbed_inside.proc import sockets

Make = Callable[[str], Bed]


def pids(app: Bed) -> dict[str, int]:
    return {item["name"]: item["pid"] for item in app.status()["components"]}


def listening_elsewhere(app: Bed) -> list[str]:
    """Return the addresses, as the kernel writes them, on which the federation listens beside 127.0.0.1."""
    inodes = {inode for pid in app.processes() for inode in sockets(pid) or ()}
    assert inodes
    found = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            loopback = fields[1].rpartition(":")[0].endswith("0100007F")  # also as IPv6 writes an IPv4 address
            if fields[3] == "0A" and fields[9] in inodes and not loopback:
                found.append(fields[1])
    return found


def executions(app: Bed) -> dict[str, str]:
    """Return how the processes of apps begin, once every SuperExec has said it."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        said = {item["name"]: item["execution"] for item in app.status()["components"] if "superexec" in item["name"]}
        if all(said.values()) or time.monotonic() > until:
            return said


def test_up_twice_restarts_nothing_and_a_change_only_what_it_touches(
    bed: Make, federation_file: Callable[..., str]
) -> None:
    app = bed("slow")
    federation_file(app)
    assert app("up", "--detach").status == 0
    first = pids(app)

    assert app("up", "--detach").status == 0
    assert pids(app) == first

    federation_file(app, more="  serverapp: {env: {GREETING: hello}, execution: Isolated}")
    assert app("up", "--detach").status == 0
    second = pids(app)
    assert {name for name in first if first[name] != second[name]} == {"superexec-serverapp"}
    assert executions(app) == {
        "superexec-serverapp": "Isolated",
        "site-0-superexec": "Warm",
        "site-1-superexec": "Warm",
    }

    federation_file(app, replicas=3)
    assert app("up", "--detach").last("status")["nodes_online"] == 3
    third = pids(app)
    assert third["superlink"] == first["superlink"]
    assert third.keys() - second.keys() == {"site-2", "site-2-superexec"}

    federation_file(app, replicas=1)
    assert app("up", "--detach").last("status")["nodes_online"] == 1
    assert pids(app).keys() == {"superlink", "superexec-serverapp", "site-0", "site-0-superexec"}


def test_a_changed_release_starts_on_data_of_its_own_and_keeps_history(
    bed: Make, federation_file: Callable[..., str]
) -> None:
    app = bed("slow")
    federation_file(app, flower="1.22")
    app("up", "--detach")
    assert listening_elsewhere(app) == []
    quick = ("run", "--run-config", "seconds=0.0 num-server-rounds=1")
    assert app(*quick).status == 0
    running = app.start("run", "--run-config", "seconds=60.0")
    app.wait_for_round(1, run=2)
    before, lock = pids(app), (app.folder / "federation.lock").read_text(encoding="utf-8")

    federation_file(app, flower="1.22", more="  serverapp: {env: {GREETING: hello}}")
    assert refused(app("up", "--detach")) == (
        "run 2 is not finished, and superexec-serverapp would restart: another environment variable: GREETING"
    )
    federation_file(app, flower="1.42")
    both = "run 2 is not finished, and superlink and superexec-serverapp would restart"
    for command in (("up", "--detach"), quick):
        assert refused(app(*command)) == f"{both}: Flower 1.42.0 instead of 1.22.0"
    with pytest.raises(UsageError, match="run 2 is not finished"):
        apply_as_a_killed_up_left_it(app)
    assert pids(app) == before
    assert app.status()["flower"] == "1.22.0"
    assert (app.folder / "federation.lock").read_text(encoding="utf-8") == lock

    assert app("stop", "2").last("run")["verdict"] == "stopped"
    app.finish(running)
    never_submitted(app)
    assert "run 3 is not finished" in refused(app("up", "--detach"))
    assert app("stop", "3").last("run")["reason"] == "it was stopped before it was submitted"
    up = app("up", "--detach")
    said = [(line["subject"], line["message"]) for line in up.lines if line.get("kind") == "change"]
    units = "superlink, superexec-serverapp, site-0 and site-1"
    assert said == [("test", f"{units} restart: Flower 1.42.0 instead of 1.22.0")]
    assert up.last("status")["flower"] == "1.42.0"
    assert listening_elsewhere(app) == []
    assert app(*quick).last("run")["verdict"] == "succeeded"
    assert [line["verdict"] for line in app("runs").lines] == ["succeeded", "stopped", "stopped", "succeeded"]


def refused(said: Said) -> str:
    """Return why a command was refused as one that must not be given now."""
    assert (said.status, said.lines[-1]["error"]) == (2, "UsageError"), said
    return said.error


def never_submitted(app: Bed) -> None:
    """Leave a run in history as a `run` does that is killed right before it submits."""
    with Store(StateFolder.beside(app.folder).database) as store:
        store.add_run(app="killed", config={}, timeout=None, submitted_at=0.0)


def apply_as_a_killed_up_left_it(app: Bed) -> None:
    """Have the supervisor apply a plan that would end a run: an `up` was killed after it had written that."""
    folder = StateFolder.beside(app.folder)
    plan = Plan.read(folder.plan)
    units = [
        replace(unit, components=[replace(one, argv=[*one.argv, "--changed"]) for one in unit.components])
        for unit in plan.units
    ]
    replace(plan, units=units).write(folder.plan)
    try:
        LocalRuntime(folder).ask("apply")
    finally:
        assert Plan.read(folder.plan) == plan


def test_two_federations_run_side_by_side(bed: Make, federation_file: Callable[..., str]) -> None:
    one, other = bed("slow"), bed("always-raises")
    for app in (one, other):
        federation_file(app, replicas=1)
        assert app("up", "--detach").last("status")["state"] == "ready"
    ports = [
        {str(item["addresses"]) for item in app.status()["components"] if item["addresses"]} for app in (one, other)
    ]
    assert not ports[0] & ports[1]
    other("down")
    assert one.status()["state"] == "ready"


def test_a_port_that_is_taken_is_refused_before_anything_starts(bed: Make, federation_file: Callable[..., str]) -> None:
    app = bed("slow")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        federation_file(app, more=f"  superlink: {{ports: {{api: {port}}}}}")
        said = app("up", "--detach")
        assert said.status == 1
        assert f"port {port}" in said.error
        assert app.processes() == []
    assert app("up", "--detach").last("status")["state"] == "ready"
    assert app.status()["components"][0]["addresses"] == {"api": f"127.0.0.1:{port}"}
