"""``flowerbed trust`` and ``flowerbed node``, on federations that are up."""

from __future__ import annotations

import hashlib
import ssl
import time
from collections.abc import Callable

import pytest

from environments import EVERYDAY
from federation.beds import Bed
from flowerbed.flower.releases import find

Make = Callable[[str], Bed]


@pytest.mark.parametrize("flower", EVERYDAY)
def test_a_rotated_certificate_restarts_the_superlink_alone_and_the_run_goes_on(
    bed: Make, federation_file: Callable[..., str], flower: str
) -> None:
    app = bed("slow")
    federation_file(app, flower=flower)
    app("up", "--detach")
    before = {item["name"]: item["pid"] for item in app.status()["components"]}
    shown = {line["name"]: line for line in app("trust", "show").lines}
    running = app.start("run", "--run-config", "seconds=8.0 only-round=1 num-server-rounds=2")
    # Once both train: 1.22 holds what it has not handed out yet in memory, and would lose that.
    app.wait(lambda: all(app.log(f"site-{n}-superexec").count("slow: training") == 1 for n in (0, 1)), "round 1")

    rotated = {line["name"]: line for line in app("trust", "rotate").lines if line["type"] == "certificate"}

    said = app.finish(running)
    assert (said.status, said.last("run")["verdict"]) == (0, "succeeded"), said.last("run")
    after = {item["name"]: item["pid"] for item in app.status()["components"]}
    assert {name for name in before if before[name] != after[name]} == {"superlink"}
    changed = {name for name in shown if shown[name]["fingerprint"] != rotated[name]["fingerprint"]}
    assert changed == {"superlink"}
    served = ssl.get_server_certificate(address(app, flower), ca_certs=str(app.folder / "ca.crt"))
    assert hashlib.sha256(ssl.PEM_cert_to_DER_cert(served)).hexdigest() == rotated["superlink"]["fingerprint"]


@pytest.mark.parametrize("flower", [EVERYDAY[0], EVERYDAY[-1]])
def test_a_rotated_authority_in_the_middle_of_a_run_restarts_the_superlink_alone_and_the_rest_afterwards(
    bed: Make, federation_file: Callable[..., str], flower: str
) -> None:
    app = bed("slow")
    federation_file(app, flower=flower)
    app("up", "--detach")
    before = {item["name"]: item["pid"] for item in app.status()["components"]}
    [old] = fingerprints(app, "ca")
    trained = app.folder / "trained"  # it trains until then: 1.22 holds what it has not handed out yet in memory
    running = app.start("run", "--run-config", f'seconds=0.0 until="{trained}" only-round=1 num-server-rounds=2')
    app.wait(lambda: all(app.log(f"site-{n}-superexec").count("slow: training") == 1 for n in (0, 1)), "round 1")

    assert app("trust", "rotate", "--authority").status == 0

    [new] = fingerprints(app, "ca")
    assert fingerprints(app, "ca-before") == [old] != [new]
    assert app("trust", "export").last("authority")["certificate"].count("BEGIN CERTIFICATE") == 2
    if flower != EVERYDAY[0]:
        said = app("trust", "rotate", "--secret")
        assert said.status == 2
        assert said.error.startswith("the secret cannot be changed while run 1 goes on")
    app("up", "--detach")
    trained.touch()
    said = app.finish(running)
    assert (said.status, said.last("run")["verdict"]) == (0, "succeeded"), said.last("run")
    during = {item["name"]: item["pid"] for item in app.status()["components"]}
    assert {name for name in before if before[name] != during[name]} == {"superlink"}

    assert app("up", "--detach").last("status")["state"] == "ready"

    assert (fingerprints(app, "ca"), fingerprints(app, "ca-before")) == ([new], [])
    after = {item["name"]: item["pid"] for item in app.status()["components"]}
    # What ServerApps are dialled by has no TLS on 1.22, so their SuperExec trusts nobody.
    stays = {"superlink", "superexec-serverapp"} if flower == EVERYDAY[0] else {"superlink"}
    assert {name for name in during if during[name] == after[name]} == stays
    served = ssl.get_server_certificate(address(app, flower), ca_certs=str(app.folder / "ca.crt"))
    assert hashlib.sha256(ssl.PEM_cert_to_DER_cert(served)).hexdigest() in fingerprints(app, "superlink")
    app("trust", "rotate", "--secret")
    again = app("run", "--run-config", "seconds=0.0 num-server-rounds=1")
    assert (again.status, again.last("run")["verdict"]) == (0, "succeeded")


def fingerprints(app: Bed, name: str) -> list[str]:
    return [line["fingerprint"] for line in app("trust", "show").lines if line["name"] == name]


def address(app: Bed, flower: str) -> tuple[str, int]:
    """Where the SuperLink's Control API is; writes the authority's certificate beside the app."""
    assert app("trust", "export", "--output", "ca.crt").status == 0
    [superlink] = [item for item in app.status()["components"] if item["name"] == "superlink"]
    host, _, port = superlink["addresses"][find(flower).contract.control_port()].rpartition(":")
    return host, int(port)


@pytest.mark.parametrize("flower", EVERYDAY)
def test_a_revoked_supernode_is_out_and_stays_out_until_it_is_added(
    bed: Make, federation_file: Callable[..., str], flower: str
) -> None:
    app = bed("slow")
    federation_file(app, flower=flower)
    app("up", "--detach")
    superlink = app.pid("superlink")
    assert states(app) == {"site-0": "online", "site-1": "online"}
    began = time.monotonic()

    assert app("node", "revoke", "site-1").status == 0

    assert states(app) == {"site-0": "online", "site-1": "revoked"}
    assert time.monotonic() - began < 60
    status = app.status()
    assert (status["state"], status["nodes_online"], status["nodes_expected"]) == ("ready", 1, 1)
    assert app.pid("superlink") == superlink
    said = app("node", "revoke", "../nodes/site-0")
    assert (said.status, said.lines[-1]["hint"]) == (2, "There is site-0, site-1.")
    app("down")
    assert app("up", "--detach").last("status")["nodes_expected"] == 1
    assert states(app) == {"site-0": "online", "site-1": "revoked"}

    assert app("node", "add", "site-1").status == 0
    assert app("up", "--detach").last("status")["nodes_online"] == 2
    assert states(app) == {"site-0": "online", "site-1": "online"}
    again = app("run", "--run-config", "seconds=0.0 num-server-rounds=1")
    assert (again.status, again.last("run")["verdict"]) == (0, "succeeded")


def states(app: Bed) -> dict[str, str]:
    found = app("node", "list").lines
    assert all(line["key"].startswith("SHA256:") for line in found)
    return {line["name"]: line["state"] for line in found}


def test_what_is_not_there_is_said(bed: Make, federation_file: Callable[..., str]) -> None:
    app = bed("slow")
    federation_file(app)
    for command in (("trust", "show"), ("trust", "rotate")):
        said = app(*command)
        assert (said.status, said.error) == (2, "this federation has no certificates")
    said = app("node", "revoke", "site-9")
    assert (said.status, said.error) == (2, "there is no SuperNode 'site-9' with a key")
    assert app("node", "list").lines == []
