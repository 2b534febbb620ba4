"""Federations with TLS and SuperNodes' keys: that they run, what they keep to themselves, and what comes back."""

from __future__ import annotations

import base64
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from environments import EVERYDAY
from federation.beds import Bed
from flowerbed import processes
from shown_secrets import shown

Make = Callable[[str], Bed]
PLAIN = "  security: {tls: {mode: Disabled}, nodeAuth: false}"
PRIVATE = ("ca.key", "superlink.key", "loopback.key", "superexec.secret", "nodes/site-0", "nodes/site-1")


@pytest.mark.parametrize("flower", EVERYDAY)
def test_a_killed_supernode_is_back_in_the_run(bed: Make, federation_file: Callable[..., str], flower: str) -> None:
    app = bed("slow")
    federation_file(app, flower=flower)
    app("up", "--detach")
    before = app.pid("site-1")
    running = app.start("run", "--run-config", "seconds=6.0 only-round=1 num-server-rounds=3")
    app.wait(lambda: all(app.log(f"site-{n}-superexec").count("slow: training") == 1 for n in (0, 1)), "round 1")
    shown_to_others(app)

    os.kill(before, signal.SIGKILL)

    said = app.finish(running)
    run = said.last("run")
    assert (said.status, run["verdict"]) == (0, "degraded"), run
    first, *later = run["rounds"]
    assert [exchange["results"] for one in later for exchange in one["exchanges"]] == [2, 2, 2, 2], run
    assert (first["exchanges"][0]["results"], first["exchanges"][0]["failures"]) == (1, 1), run
    assert app.pid("site-1") != before
    assert app.status()["nodes_online"] == 2


def shown_to_others(app: Bed) -> None:
    """Check that no key or secret shows in a command line, an environment or a log."""
    trust = app.folder / ".flowerbed" / "trust"
    secrets = {name: (trust / name).read_bytes() for name in PRIVATE if (trust / name).exists()}
    assert len(secrets) == len(PRIVATE)
    seen: dict[str, bytes] = {}
    for pid in app.processes():
        for kind in ("cmdline", "environ"):
            seen[f"{kind} of {pid}"] = Path(f"/proc/{pid}/{kind}").read_bytes()
    for path in (app.folder / ".flowerbed").rglob("*"):
        if path.is_file() and trust not in path.parents:
            seen[str(path)] = path.read_bytes()
    assert any("cmdline" in place for place in seen)
    assert any(place.endswith("superlink.log") for place in seen)
    assert shown(secrets, seen) == []


def test_the_search_for_secrets_finds_them() -> None:
    secret = b"\x00\x01\xfe 32 bytes, more or less random"
    for written in (secret, secret.hex().encode(), base64.b64encode(secret)):
        assert shown({"secret": secret}, {"here": b"--secret=" + written}) == [("secret", "here")]


@pytest.mark.parametrize("flower", [EVERYDAY[0], EVERYDAY[-1]])
def test_after_the_supervisor_was_killed_the_next_up_lets_the_same_supernodes_in(
    bed: Make, federation_file: Callable[..., str], flower: str
) -> None:
    app = bed("slow")
    federation_file(app, flower=flower)
    app("up", "--detach")
    os.kill(app.status()["supervisor_pid"], signal.SIGKILL)
    app.wait(lambda: app.processes() == [], "the end of all processes")

    assert app("up", "--detach").last("status")["state"] == "ready"

    again = app("run", "--run-config", "seconds=0.0 num-server-rounds=1")
    assert (again.status, again.last("run")["verdict"]) == (0, "succeeded")


@pytest.mark.parametrize("flower", [EVERYDAY[0], EVERYDAY[-1]])
def test_security_can_be_switched_on_and_another_supernode_added_while_it_is_up(
    bed: Make, federation_file: Callable[..., str], flower: str
) -> None:
    app = bed("slow")
    federation_file(app, replicas=1, flower=flower, more=PLAIN)
    app("up", "--detach")
    plain = {item["name"]: item["pid"] for item in app.status()["components"]}

    federation_file(app, replicas=1, flower=flower)
    assert app("up", "--detach").last("status")["state"] == "ready"
    protected = {item["name"]: item["pid"] for item in app.status()["components"]}
    # What ServerApps are dialled by has no TLS on 1.22, so its SuperExec does not change.
    stays = {"superexec-serverapp"} if flower == EVERYDAY[0] else set()
    assert {name for name in plain if plain[name] == protected[name]} == stays

    federation_file(app, replicas=2, flower=flower)
    assert app("up", "--detach").last("status")["nodes_online"] == 2
    assert app.pid("superlink") == protected["superlink"]  # which hears of the new key meanwhile
    again = app("run", "--run-config", "seconds=0.0 num-server-rounds=1")
    assert (again.status, again.last("run")["verdict"]) == (0, "succeeded")
    assert processes.command_line(app.pid("superlink")).count("superlink.crt") >= 1


def test_a_key_that_others_can_read_keeps_everything_down(bed: Make, federation_file: Callable[..., str]) -> None:
    app = bed("slow")
    federation_file(app)
    app("up", "--detach")
    app("down")
    key = app.folder / ".flowerbed" / "trust" / "nodes" / "site-0"
    key.chmod(0o644)

    said = app("up", "--detach")

    assert said.status == 1
    assert said.lines[-1]["error"] == "TrustError"
    assert said.lines[-1]["where"] == str(key.resolve())
    assert said.lines[-1]["hint"].endswith(f"chmod 600 {key.resolve()}")
    assert app.processes() == []
