"""What a new plan restarts, why, and when a run forbids it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flowerbed.local.changing import decide, unapplied
from flowerbed.local.plan import Plan, PlannedComponent, PlannedUnit
from flowerbed.local.versions import with_versions
from flowerbed.runs.changes import Act, Change

CA, SERVED, SECRET = "/t/ca.crt", "/t/superlink.crt", "/t/superexec.secret"
TRUST = {CA: "1", SERVED: "1", SECRET: "1"}


def component(name: str, role: str, argv: list[str], **env: str) -> PlannedComponent:
    return PlannedComponent(name, role, [f"/env/bin/{role}", *argv], {"PATH": "/bin", **env}, {}, [], sorted(env))


def unit(name: str, role: str, *argv: str, **env: str) -> PlannedUnit:
    return PlannedUnit(name, [component(name, role, list(argv), **env)])


SUPERLINK = unit("superlink", "superlink", "--ssl-certfile", SERVED, "--secret", SECRET, "--port", "4001")
_SERVERAPP = ("superexec-serverapp", "superexec-serverapp", "--root", CA, "--secret", SECRET)
SERVERAPP = unit(*_SERVERAPP, GREETING="hello")
ISOLATED = unit(*_SERVERAPP, GREETING="hello", FLOWERBED_EXECUTION="Isolated")
SITE = unit("site-0", "supernode", "--root", CA, "--node-config", "partition-id=0")
OTHER_SITE = unit("site-1", "supernode", "--root", CA, "--node-config", "partition-id=1")


def plan(*units: PlannedUnit, environment: str = "/env", release: str = "1.42.0") -> Plan:
    return Plan("test", release, environment, ["client.py", CA], {}, "", "", "", list(units))


def elsewhere(one: PlannedUnit) -> PlannedUnit:
    return replace(one, components=[replace(it, argv=["/other/bin/x", *it.argv[1:]]) for it in one.components])


BOTH = "run 7 is not finished, and superlink and superexec-serverapp would restart"
RUNNING = plan(SUPERLINK, SERVERAPP, SITE)
GREETING = unit(*_SERVERAPP, GREETING="bye")
PORT = unit("superlink", "superlink", "--ssl-certfile", SERVED, "--secret", SECRET, "--port", "4002")
DATA = unit("site-0", "supernode", "--root", CA, "--node-config", "partition-id=0 data='b c'")


@pytest.mark.parametrize(
    ("wanted", "refusal"),
    [
        (RUNNING, None),
        (
            plan(SUPERLINK, GREETING, SITE),
            "run 7 is not finished, and superexec-serverapp would restart: another environment variable: GREETING",
        ),
        (
            plan(SUPERLINK, ISOLATED, SITE),
            "run 7 is not finished, and superexec-serverapp would restart: another execution",
        ),
        (plan(PORT, SERVERAPP, SITE), "run 7 is not finished, and superlink would restart: another option: --port"),
        (
            plan(*map(elsewhere, RUNNING.units), environment="/other"),
            f"{BOTH}: another environment (the app's dependencies, its Python, or Flowerbed itself)",
        ),
        (
            plan(*map(elsewhere, RUNNING.units), environment="/other", release="1.43.0"),
            f"{BOTH}: Flower 1.43.0 instead of 1.42.0",
        ),
        (plan(SUPERLINK, SERVERAPP, DATA), None),
        (plan(SUPERLINK, SERVERAPP, SITE, OTHER_SITE), None),
        (plan(SUPERLINK, SERVERAPP), None),
    ],
)
def test_a_run_that_is_not_finished_keeps_the_programs_that_it_needs(wanted: Plan, refusal: str | None) -> None:
    assert decide(RUNNING, wanted, None).refusal is None
    found = decide(RUNNING, wanted, 7).refusal
    assert (found.message if found else None) == refusal
    if found is not None:
        assert found.exit_code == 2
        assert found.hint == (
            "Nothing was restarted. Wait for the run, or stop it with `flowerbed stop 7`; then run this command again."
        )


def test_supernodes_change_under_a_run_and_each_says_why() -> None:
    wanted = plan(SUPERLINK, SERVERAPP, DATA, OTHER_SITE)
    assert decide(RUNNING, wanted, 7).changes == [
        Change("site-0", Act.RESTART, "another option: --node-config"),
        Change("site-1", Act.START, "the federation now has it"),
    ]
    assert decide(wanted, plan(SUPERLINK, SERVERAPP, DATA), 7).changes == [
        Change("site-1", Act.STOP, "the federation no longer has it"),
    ]


@pytest.mark.parametrize(
    ("file", "restarted"),
    [
        (SERVED, [Change("superlink", Act.RESTART, "another superlink.crt", ends_runs=False)]),
        (CA, []),
        (SECRET, []),
    ],
)
def test_under_a_run_only_the_superlinks_certificate_is_changed_at_once(file: str, restarted: list[Change]) -> None:
    running = with_versions(RUNNING, TRUST)
    wanted = with_versions(RUNNING, {**TRUST, file: "2"})
    assert decide(running, wanted, None).changes != []
    spared = decide(running, wanted, 7)
    assert (spared.changes, spared.refusal) == (restarted, None)
    assert decide(spared.plan, wanted, None).plan == wanted


def test_a_certificate_is_no_excuse_for_another_setting() -> None:
    running = with_versions(RUNNING, TRUST)
    wanted = with_versions(plan(PORT, SERVERAPP, SITE), {**TRUST, SERVED: "2"})
    found = decide(running, wanted, 7).refusal
    assert found is not None
    assert found.message.endswith("superlink would restart: another option: --port, another superlink.crt")


@pytest.mark.parametrize(
    ("wanted", "what"),
    [
        (plan(SUPERLINK, GREETING, SITE), "superexec-serverapp: another environment variable: GREETING"),
        (
            plan(SUPERLINK, SERVERAPP, DATA, OTHER_SITE),
            "site-0: another option: --node-config; site-1: the federation now has it",
        ),
        (plan(SUPERLINK, SERVERAPP), "site-0: the federation no longer has it"),
        (replace(RUNNING, external=["clinic"]), "other SuperNodes that run elsewhere: clinic"),
    ],
)
def test_what_of_the_file_is_not_applied_is_said_with_what_to_do(wanted: Plan, what: str) -> None:
    said = unapplied(with_versions(RUNNING, TRUST), with_versions(wanted, {**TRUST, CA: "2"}), "a.yaml")
    assert said == f"a.yaml is not what runs ({what}); `flowerbed up` applies it"


def test_other_certificates_and_secrets_are_not_the_files() -> None:
    running = with_versions(RUNNING, TRUST)
    for wanted in (running, RUNNING, with_versions(RUNNING, dict.fromkeys(TRUST, "2"))):
        assert unapplied(running, wanted, "a.yaml") == ""
