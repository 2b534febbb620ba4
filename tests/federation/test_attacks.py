"""What somebody can do who reaches a federation's loopback ports, and what not; on one federation per release."""

from __future__ import annotations

import json
import re
import secrets
import stat
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from environments import EVERYDAY, environment_python, flower_process_environment
from federation import attackers
from federation.beds import FLOWERBED, Bed
from federation.test_identity import PRIVATE
from flowerbed.flower.releases import find
from flowerbed.local import ports
from flowerbed.trust import keys
from shown_secrets import shown

Make = Callable[[str], Bed]
IMAGE = "  app: {image: ghcr.io/example/app:1.0}"
REFUSED = {"401", "403", "UNAUTHENTICATED", "PERMISSION_DENIED"}
TURNED_AWAY = ("Public key already in use", "Failed to activate SuperNode")
"""How a second SuperNode with a living one's key says so, on 1.22 and on 1.42."""
NO_ACCOUNTS = {"control/refresh-auth-tokens"}
"""Without accounts there is nothing to refresh."""


@pytest.mark.parametrize("flower", [EVERYDAY[0], EVERYDAY[-1]])
def test_a_run_succeeds_while_somebody_misbehaves_and_control_alone_is_open_to_them(
    bed: Make, federation_file: Callable[..., str], flower: str
) -> None:
    app = bed("slow")
    federation_file(app, flower=flower, more=IMAGE)
    app("up", "--detach")
    before = {item["name"]: item["pid"] for item in app.status()["components"]}
    known = {line["name"]: line["id"] for line in app("node", "list").lines}
    plan = json.loads((app.folder / ".flowerbed" / "plan.json").read_text())
    fleet = address(app, find(flower).contract.fleet_port())
    with ExitStack() as attacks:
        attacks.enter_context(attackers.idle_connections(fleet))
        attacks.enter_context(attackers.slow_loris(fleet))
        trained = app.folder / "trained"  # it trains until then
        running = app.start("run", "--run-config", f'seconds=0.0 until="{trained}" num-server-rounds=1')
        log = attacks.enter_context(attackers.second_supernode(app, plan, "site-0", *ports.find_free(1)))
        app.wait(lambda: "slow: training" in app.log("site-0-superexec"), "work at a SuperNode")
        attackers.garbage(fleet)
        # The key that is in use lets nobody else in: neither beside the SuperNode nor in its place.
        app.wait(lambda: any(text in log.read_text(errors="replace") for text in TURNED_AWAY), "a refusal")
        trained.touch()
        said = app.finish(running)
        second = log.read_text(errors="replace")
    assert (said.status, said.last("run")["verdict"]) == (0, "succeeded"), said.last("run")
    assert "Received" not in second
    assert {line["name"]: line["id"] for line in app("node", "list").lines} == known
    assert {item["name"]: item["pid"] for item in app.status()["components"]} == before

    answers = anonymous_calls(app, flower)
    control = {path for path in answers if path.startswith("control/")}
    fleet_calls = {path for path in answers if path.startswith("fleet/")}
    others = set(answers) - control - fleet_calls
    assert min(map(len, (control, fleet_calls, others))) >= 7
    assert {path for path in fleet_calls if answers[path] not in REFUSED} == set()
    assert {path for path in control - NO_ACCOUNTS if answers[path] in REFUSED} == set()
    if flower == EVERYDAY[0]:  # whoever reaches it may take a ServerApp's work
        assert answers["serverappio/ListAppsToLaunch"] == answers["serverappio/RequestToken"] == "OK"
    else:  # an unsigned claim is refused
        assert {answers[path] for path in others} == {"401"}
        assert answers["control/list-runs"] == answers["control/register-node"] == "200"
        # Who was registered so may join: SuperNodes' keys keep out who does not reach the Control API.
        assert [line["name"] for line in app("node", "list").lines].count("") == 1
    shut_off_from_others(app.folder / ".flowerbed")
    if flower == EVERYDAY[-1]:
        not_rendered(app)


def address(app: Bed, port: str) -> tuple[str, int]:
    [superlink] = [item for item in app.status()["components"] if item["name"] == "superlink"]
    host, _, number = superlink["addresses"][port].rpartition(":")
    return host, int(number)


def anonymous_calls(app: Bed, flower: str) -> dict[str, str]:
    """Call every path of the SuperLink's APIs without a key, a secret or a token."""
    contract = find(flower).contract
    [superlink] = [item for item in app.status()["components"] if item["name"] == "superlink"]
    at = [superlink["addresses"][port] for port in (contract.fleet_port(), contract.control_port())]
    runtime = superlink["addresses"].get("runtime", at[0])
    trusted = app.folder / ".flowerbed" / "trust" / "ca.crt"
    public = keys.public_pem(keys.new_node_key(secrets.token_bytes), "nobody's")
    done = subprocess.run(
        [
            *(environment_python(str(find(flower).release)), Path(__file__).with_name("anonymous.py")),
            *(trusted, *at, runtime, public),
        ],
        env=flower_process_environment(app.folder.parent),
        stdout=subprocess.PIPE,
        timeout=120,
        check=True,
    )
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


def shut_off_from_others(state: Path) -> None:
    """Check that no other user can get at anything in the state folder."""
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    trust = list((state / "trust").rglob("*"))
    assert {stat.S_IMODE(path.stat().st_mode) for path in trust if path.is_file()} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in trust if path.is_dir()} == {0o700}


def not_rendered(app: Bed) -> None:
    """Check that manifests name Secrets and hold none."""
    done = subprocess.run([*FLOWERBED, "render"], cwd=app.folder, stdout=subprocess.PIPE, timeout=120, check=True)
    assert b"secretName: test-superlink-tls" in done.stdout
    trust = app.folder / ".flowerbed" / "trust"
    assert shown({name: (trust / name).read_bytes() for name in PRIVATE}, {"manifests": done.stdout}) == []
    assert re.search(rb"BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/]{40}", done.stdout) is None
    assert re.search(rb"(?m)^kind: Secret$", done.stdout) is None
