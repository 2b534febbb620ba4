"""A topology with every place filled in: what is started, and what counts as a change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from flowerbed.errors import StateError
from flowerbed.flower.contract import Port
from flowerbed.flower.values import (
    Address,
    DataFile,
    HomeFolder,
    Listen,
    ListenHost,
    ListenPort,
    ResultsFolder,
    Trusted,
    TrustFile,
)
from flowerbed.local.layout import StateFolder
from flowerbed.local.plan import (
    Plan,
    PlannedUnit,
    common_environment,
    resolve,
)
from flowerbed.local.ports import EVERYWHERE, LOOPBACK
from flowerbed.local.versions import has_trust, holding, with_versions
from flowerbed.topology.model import SUPERLINK, Component, Role, Topology, Unit

FOLDER = StateFolder(Path("/state"))
SUPERLINK_COMPONENT = Component(
    SUPERLINK,
    Role.SUPERLINK,
    "flower-superlink",
    (
        "--address",
        Listen("fleet"),
        "--host",
        ListenHost(),
        "--port",
        ListenPort("api"),
        "--database",
        DataFile("state.db"),
    ),
    ports=(Port("fleet", 9092, "grpc"), Port("api", 8000, "http")),
    environment={"FLWR_HOME": HomeFolder(), "ROOT": ResultsFolder()},
)
SUPERNODE = Component(
    "site-0",
    Role.SUPERNODE,
    "flower-supernode",
    ("--superlink", Address(SUPERLINK, "fleet")),
    dials=((SUPERLINK, "fleet"),),
    environment={"OMP_NUM_THREADS": "1"},
)
TOPOLOGY = Topology("test", (Unit(SUPERLINK, (SUPERLINK_COMPONENT,)), Unit("site-0", (SUPERNODE,))))
PORTS = {SUPERLINK: {"fleet": 4001, "api": 4002}, "site-0": {}}


def units(environment: dict[str, str] | None = None) -> list[PlannedUnit]:
    return resolve(
        TOPOLOGY,
        PORTS,
        FOLDER,
        minor="1.42",
        executables=Path("/env/bin"),
        environment={"PATH": "/bin"} if environment is None else environment,
    )


def test_every_place_is_a_loopback_address_or_a_path() -> None:
    superlink, site = (unit.components[0] for unit in units())
    assert superlink.argv == [
        *("/env/bin/flower-superlink", "--address", "127.0.0.1:4001", "--host", "127.0.0.1", "--port", "4002"),
        *("--database", "/state/data/superlink/1.42/state.db"),
    ]
    assert superlink.env == {"PATH": "/bin", "FLWR_HOME": "/state/homes/superlink", "ROOT": "/state/results"}
    assert site.argv == ["/env/bin/flower-supernode", "--superlink", "127.0.0.1:4001"]
    assert site.env["FLOWERBED_WAIT_FOR"] == "127.0.0.1:4001"
    assert site.env["FLOWERBED_WAIT_FOR_FILE"] == "/state/superlink-answered"
    assert superlink.ports == PORTS[SUPERLINK]


@pytest.mark.parametrize(("shown", "fleet", "host"), [("fleet", EVERYWHERE, LOOPBACK), ("api", LOOPBACK, EVERYWHERE)])
def test_the_port_that_is_shown_listens_everywhere_and_no_other(shown: str, fleet: str, host: str) -> None:
    made = resolve(TOPOLOGY, PORTS, FOLDER, minor="1.42", executables=Path("/e"), environment={}, shown=shown)
    superlink, site = (unit.components[0] for unit in made)
    assert superlink.argv[1:5] == ["--address", f"{fleet}:4001", "--host", host]
    assert site.argv[1:] == ["--superlink", "127.0.0.1:4001"]  # who is here dials as before


def test_another_shell_is_no_change_and_another_setting_is() -> None:
    before = [unit.fingerprint for unit in units()]
    assert [unit.fingerprint for unit in units({"PATH": "/elsewhere", "LANG": "C"})] == before
    changed = Topology("test", (TOPOLOGY.units[0], Unit("site-0", (replace(SUPERNODE, environment={}),))))
    after = resolve(changed, PORTS, FOLDER, minor="1.42", executables=Path("/env/bin"), environment={"PATH": "/bin"})
    assert [unit.fingerprint == old for unit, old in zip(after, before, strict=True)] == [True, False]


VERSIONS = {
    "/state/trust/ca.crt": "1",
    "/state/trust/superlink.crt": "1",
    "/state/trust/loopback.crt": "1",
    "/state/trust/superexec.secret": "1",
}


def trusting_plan(versions: dict[str, str]) -> Plan:
    plain = Plan("test", "1.42.0", "/env", ["client.py", "/state/trust/ca.crt"], {}, "", "", "", trusting_units())
    return with_versions(plain, versions)


def trusting_units() -> list[PlannedUnit]:
    superlink = (
        TrustFile(what) for what in (Trusted.AUTHORITY, Trusted.SUPERLINK_CERTIFICATE, Trusted.SUPEREXEC_SECRET)
    )
    supernode = (
        TrustFile(what) for what in (Trusted.AUTHORITY, Trusted.LOOPBACK_CERTIFICATE, Trusted.SUPEREXEC_SECRET)
    )
    units = (
        Unit(SUPERLINK, (replace(SUPERLINK_COMPONENT, arguments=tuple(superlink)),)),
        Unit("site-0", (replace(SUPERNODE, arguments=tuple(supernode)),)),
        Unit("plain", (replace(SUPERNODE, name="plain", arguments=()),)),
    )
    return resolve(
        Topology("test", units),
        {**PORTS, "plain": {}},
        FOLDER,
        minor="1.42",
        executables=Path("/env/bin"),
        environment={},
    )


@pytest.mark.parametrize(
    ("file", "again", "while_a_run_goes_on"),
    [
        ("superlink.crt", {SUPERLINK}, {SUPERLINK}),
        ("ca.crt", {"site-0", "client"}, set()),
        ("loopback.crt", {"site-0"}, set()),
        ("superexec.secret", {SUPERLINK, "site-0"}, set()),
    ],
)
def test_who_read_a_file_when_it_started_is_started_again_when_it_changes_and_a_run_is_spared(
    file: str, again: set[str], while_a_run_goes_on: set[str]
) -> None:
    before = trusting_plan(VERSIONS)
    after = trusting_plan({**VERSIONS, f"/state/trust/{file}": "2"})
    assert changed(before, before) == set()
    assert changed(before, after) == again
    assert changed(before, holding(after, before)) == while_a_run_goes_on
    assert changed(after, holding(after, after)) == set()
    plain = trusting_plan({})
    assert (has_trust(before), has_trust(plain)) == (True, False)


def changed(one: Plan, other: Plan) -> set[str]:
    found = {a.name for a, b in zip(one.units, other.units, strict=True) if a.fingerprint != b.fingerprint}
    return found | ({"client"} if one.client_env != other.client_env else set())


def test_what_is_trusted_is_a_path() -> None:
    trusted = tuple(TrustFile(what) for what in Trusted)
    superlink = replace(SUPERLINK_COMPONENT, arguments=trusted)
    site = replace(SUPERNODE, arguments=trusted)
    topology = Topology("test", (Unit(SUPERLINK, (superlink,)), Unit("site-0", (site,))))

    one = resolve(topology, PORTS, FOLDER, minor="1.42", executables=Path("/env/bin"), environment={}, admitted=True)
    assert one[1].components[0].argv[1:] == [
        "/state/trust/ca.crt",
        "/state/trust/superlink.crt",
        "/state/trust/superlink.key",
        "/state/trust/ca.crt",
        "/state/trust/loopback.crt",
        "/state/trust/loopback.key",
        "/state/trust/superexec.secret",
        "/state/trust/nodes.csv",
        "/state/trust/nodes/site-0",
        "/state/trust/nodes/site-0.pub",
    ]
    assert one[1].components[0].env["FLOWERBED_WAIT_FOR_FILE"] == "/state/admitted/site-0"


def test_a_plan_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    plan = Plan(
        "test", "1.42.0", "/env", ["python", "client.py"], {"A": "b"}, "taken", "replied", "lost", units(), "listed"
    )
    plan.write(tmp_path / "plan.json")
    assert Plan.read(tmp_path / "plan.json") == plan
    assert (plan.minor, plan.ports, plan.count(Role.SUPERNODE)) == ("1.42", PORTS, 1)
    assert (tmp_path / "plan.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "{", '{"format": 2}', '{"format": 1}'])
def test_a_plan_that_cannot_be_read_says_what_to_do(tmp_path: Path, text: str) -> None:
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(StateError, match="flowerbed up"):
        Plan.read(tmp_path / "plan.json")
    assert Plan.last(tmp_path / "plan.json") is None


def test_little_of_the_users_environment_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    monkeypatch.setenv("no_proxy", "intern")
    env = common_environment(FOLDER, [Path("/env/bin")])
    assert "AWS_SECRET_ACCESS_KEY" not in env
    assert env["LANG"] == "de_DE.UTF-8"
    assert env["no_proxy"] == env["NO_PROXY"] == "intern,127.0.0.1,localhost"
    assert env["PATH"].startswith("/env/bin:")
