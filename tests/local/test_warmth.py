"""What `doctor` and `up` say of how the processes of apps begin."""

from __future__ import annotations

import pytest

from flowerbed.local import warmth
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
