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
from flowerbed.local.plan import Plan, PlannedUnit, common_environment, resolve
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
        minor="1.41",
        executables=Path("/env/bin"),
        environment={"PATH": "/bin"} if environment is None else environment,
    )


def test_every_place_is_a_loopback_address_or_a_path() -> None:
    superlink, site = (unit.components[0] for unit in units())
    assert superlink.argv == [
        *("/env/bin/flower-superlink", "--address", "127.0.0.1:4001", "--host", "127.0.0.1", "--port", "4002"),
        *("--database", "/state/data/superlink/1.41/state.db"),
    ]
    assert superlink.env == {"PATH": "/bin", "FLWR_HOME": "/state/homes/superlink", "ROOT": "/state/results"}
    assert site.argv == ["/env/bin/flower-supernode", "--superlink", "127.0.0.1:4001"]
    assert site.env["FLOWERBED_WAIT_FOR"] == "127.0.0.1:4001"
    assert site.env["FLOWERBED_WAIT_FOR_FILE"] == "/state/superlink-answered"
    assert superlink.ports == PORTS[SUPERLINK]


def test_another_shell_is_no_change_and_another_setting_is() -> None:
    before = [unit.fingerprint for unit in units()]
    assert [unit.fingerprint for unit in units({"PATH": "/elsewhere", "LANG": "C"})] == before
    changed = Topology("test", (TOPOLOGY.units[0], Unit("site-0", (replace(SUPERNODE, environment={}),))))
    after = resolve(changed, PORTS, FOLDER, minor="1.41", executables=Path("/env/bin"), environment={"PATH": "/bin"})
    assert [unit.fingerprint == old for unit, old in zip(after, before, strict=True)] == [True, False]


def test_what_is_trusted_is_a_path_and_only_the_superlink_starts_again_for_another_certificate() -> None:
    trusted = tuple(TrustFile(what) for what in Trusted)
    superlink = replace(SUPERLINK_COMPONENT, arguments=trusted)
    site = replace(SUPERNODE, arguments=trusted)
    topology = Topology("test", (Unit(SUPERLINK, (superlink,)), Unit("site-0", (site,))))

    def planned(version: str) -> list[PlannedUnit]:
        return resolve(
            topology,
            PORTS,
            FOLDER,
            minor="1.41",
            executables=Path("/env/bin"),
            environment={},
            trust_version=version,
            admitted=True,
        )

    one, two = planned("1"), planned("2")
    assert one[1].components[0].argv[1:] == [
        "/state/trust/ca.crt",
        "/state/trust/superlink.crt",
        "/state/trust/superlink.key",
        "/state/trust/loopback.crt",
        "/state/trust/loopback.key",
        "/state/trust/superexec.secret",
        "/state/trust/nodes.csv",
        "/state/trust/nodes/site-0",
        "/state/trust/nodes/site-0.pub",
    ]
    assert one[1].components[0].env["FLOWERBED_WAIT_FOR_FILE"] == "/state/admitted/site-0"
    assert [a.fingerprint == b.fingerprint for a, b in zip(one, two, strict=True)] == [False, True]


def test_a_plan_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    plan = Plan(
        "test", "1.41.0", "/env", ["python", "client.py"], {"A": "b"}, "taken", "replied", "lost", units(), "listed"
    )
    plan.write(tmp_path / "plan.json")
    assert Plan.read(tmp_path / "plan.json") == plan
    assert (plan.minor, plan.ports, plan.count(Role.SUPERNODE)) == ("1.41", PORTS, 1)
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
