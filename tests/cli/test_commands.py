"""The commands that need no federation."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from flowerbed.cli import COMMANDS
from flowerbed.local.doctor import Check, Machine, State, check_machine
from flowerbed.spec.load import load

Say = Callable[..., tuple[int, str]]


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_explains_itself(say: Say, command: str) -> None:
    status, said = say(command, "--help")
    assert status == 0
    assert f"Usage: flowerbed {command}" in said


def test_new_writes_an_app_with_a_federation_and_never_over_another(tmp_path: Path, say: Say) -> None:
    status, said = say("new", "my-app", "--into", str(tmp_path), "--flower", "1.22")
    assert (status, f"flowerbed run {tmp_path / 'my-app'}" in said) == (0, True)
    federation = load(tmp_path / "my-app" / "federation.yaml").federation
    assert (federation.metadata.name, federation.spec.flower) == ("my-app", "1.22")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    status, said = say("new", "my-app", "--into", str(tmp_path), "--template", "pytorch")
    assert status == 2
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_schema_is_one_that_editors_read(say: Say) -> None:
    status, said = say("schema")
    schema = json.loads(said)
    assert (status, schema["$schema"]) == (0, "https://json-schema.org/draft/2020-12/schema")
    assert "supernodes" in json.dumps(schema)


def test_an_empty_cache_has_no_environments(tmp_path: Path, say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWERBED_CACHE_DIR", str(tmp_path))
    assert say("env", "list") == (
        0,
        "There are no environments yet; the first `flowerbed up` or `run` builds one.\n",
    )
    assert say("env", "prune") == (0, "Deleted 0, 0 MB.\n")


def test_doctor_checks_the_machine_and_the_folder(tmp_path: Path, say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    status, said = say("doctor", "--json")
    checks = {line["id"]: line["state"] for line in map(json.loads, said.splitlines())}
    assert (status, checks["platform"], checks["uv"]) == (0, "ok", "ok")
    (tmp_path / "federation.yaml").write_text("kind: Nonsense\n")
    status, said = say("doctor")
    assert status == 1
    assert "federation.yaml:1:7" in said


GOOD = Machine("linux", "3.11.7", "/bin/uv", frozenset({"3.11.7"}), Path("/cache"), 10**11, True, None)


@pytest.mark.parametrize(
    ("machine", "wrong"),
    [
        (GOOD, {}),
        (Machine(**{**vars(GOOD), "platform": "darwin"}), {"platform": State.WARNING}),
        (Machine(**{**vars(GOOD), "uv": None}), {"uv": State.WRONG}),
        (Machine(**{**vars(GOOD), "python": "3.15.0", "pythons": frozenset({"3.10.1"})}), {"python": State.WRONG}),
        (Machine(**{**vars(GOOD), "cache_free": 10**9}), {"cache": State.WARNING}),
        (Machine(**{**vars(GOOD), "cache_writable": False}), {"cache": State.WRONG}),
    ],
)
def test_what_is_wrong_comes_with_the_next_command(machine: Machine, wrong: dict[str, State]) -> None:
    found: list[Check] = [check for check in check_machine(machine) if check.state is not State.OK]
    assert {check.id: check.state for check in found} == wrong
    assert all(check.next for check in found)
