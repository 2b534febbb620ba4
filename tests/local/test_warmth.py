"""What `doctor` and `up` say of how the processes of apps begin."""

from __future__ import annotations

import pytest

from flowerbed.local import warmth
from flowerbed.local.doctor import check_apps
from flowerbed.local.doctor_machine import State
from flowerbed.runs.runtime import ComponentStatus
from flowerbed.spec.load import parse

FILE = """\
apiVersion: flowerbed.dev/v1alpha1
kind: Federation
metadata: {name: test}
spec:
  superlink: {expose: {fleetAddress: "fl.example.org:9092"}}
  supernodes: [{name: a, execution: EXECUTION}, {name: b}, {name: far, external: true}]
"""
NOT_FORKED = "hold, pace,backoff,logs,announce,lean"


@pytest.mark.parametrize(
    ("execution", "more", "levers", "platform", "told"),
    [
        ("Warm", "", "", "linux", "Warm"),
        ("Isolated", "", "", "linux", "Warm, but Isolated for ClientApps of a"),
        ("Isolated", "  execution: Isolated\n", "", "linux", "Isolated, as the file says"),
        ("Warm", "  execution: Isolated\n", "", "linux", "Warm, but Isolated for ServerApps and ClientApps of b"),
        ("Warm", "", "", "darwin", "Isolated: forking is not safe on darwin"),
        ("Warm", "", NOT_FORKED, "linux", "Isolated; FLOWERBED_LEVERS leaves out fork"),
        ("Warm", "", "fork,hold,pace,backoff,logs,lean", "linux", "Warm; FLOWERBED_LEVERS leaves out announce"),
        (
            "Isolated",
            "  execution: Isolated\n",
            "none",
            "linux",
            "Isolated, as the file says; FLOWERBED_LEVERS leaves out fork, hold, pace, backoff, logs, announce, lean",
        ),
    ],
)
def test_how_the_processes_of_apps_begin(
    monkeypatch: pytest.MonkeyPatch, execution: str, more: str, levers: str, platform: str, told: str
) -> None:
    monkeypatch.setenv("FLOWERBED_LEVERS", levers)
    monkeypatch.setattr(warmth, "LINUX", platform == "linux")
    monkeypatch.setattr("sys.platform", platform)
    spec = parse(FILE.replace("EXECUTION", execution) + more, "f.yaml").federation.spec
    assert warmth.told(spec) == told


def test_doctor_names_those_whose_apps_begin_otherwise_with_each_reason_once() -> None:
    def superexec(name: str, execution: str, why: str) -> ComponentStatus:
        return ComponentStatus(name, "superexec-clientapp", "running", execution=execution, execution_why=why)

    found = check_apps(
        [
            ComponentStatus("superlink", "superlink", "running"),
            superexec("a", "Warm", "Flower is loaded"),
            superexec("b", "Isolated", "there are 5 threads"),
            superexec("c", "Isolated", "there are 5 threads"),
            superexec("d", "Isolated", "asked for"),
            superexec("e", "Warm", "Flower is loaded, but no libraries: 300 MB of 500 MB are in use"),
        ]
    )
    why = "Warm: Flower is loaded, but no libraries: 300 MB of 500 MB are in use"
    assert [(check.id, check.state, check.message) for check in found] == [
        ("apps", State.WARNING, "processes of apps of b and c are Isolated: there are 5 threads"),
        ("apps", State.WARNING, f"processes of apps of e are {why}"),
    ]
    assert all(check.next for check in found)
