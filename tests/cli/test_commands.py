"""The commands that need no federation."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from flowerbed.cli import COMMANDS
from flowerbed.cli.doctor import laid_out
from flowerbed.local.doctor_machine import Check, Machine, State, check_machine
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
    assert (status, checks["platform"], checks["uv"], checks["file"]) == (0, "ok", "ok", "warning")
    assert {"machine", "gpus", "containers", "kubectl", "federations"} < checks.keys()
    assert f"there is no Flower App and no federation.yaml in {tmp_path}" in said
    assert "flowerbed new my-app" in said
    (tmp_path / "federation.yaml").write_text("kind: Nonsense\n")
    status, said = say("doctor")
    assert status == 1
    assert "federation.yaml:1:7" in said


def test_doctor_works_on_a_fresh_machine_and_without_a_home(
    tmp_path: Path, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FLOWERBED_CACHE_DIR", "XDG_CACHE_HOME", "UV_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "fresh"))
    status, said = say("doctor")
    assert (status, f"the cache {tmp_path}/fresh/.cache/flowerbed holds 0.0 GB; " in said) == (0, True)
    assert not (tmp_path / "fresh").exists()

    (tmp_path / "file").touch()  # a home in which nobody can write, root included
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    status, said = say("doctor", "--json")
    wrong = {line["id"]: line for line in map(json.loads, said.splitlines()) if line["state"] == "wrong"}
    assert (status, sorted(wrong)) == (1, ["cache", "uv"])
    assert wrong["cache"]["next"].startswith("export FLOWERBED_CACHE_DIR=")
    assert "cannot be made" in wrong["cache"]["message"]
    assert wrong["uv"]["next"].startswith("export UV_CACHE_DIR=")
    status, said = say("demo")
    assert (status, "FLOWERBED_CACHE_DIR" in said) == (1, True)

    if Path("/proc/self").exists():  # where root may write, and can make no folder
        monkeypatch.setenv("HOME", "/proc/nothing")
        said = say("doctor")[1]
        assert "the cache's folder /proc/nothing/.cache/flowerbed cannot be made" in said
        assert "next: export FLOWERBED_CACHE_DIR=" in said


def test_a_place_that_is_not_there_is_wrong(tmp_path: Path, say: Say) -> None:
    status, said = say("doctor", "--file", str(tmp_path / "nowhere"))
    assert (status, f"{tmp_path}/nowhere: there is no such file or folder" in said) == (1, True)


@pytest.mark.parametrize("width", [80, 120])
def test_what_doctor_says_is_laid_out_for_a_terminal(width: int) -> None:
    path = "/home/somebody/with/a/path/that/is/much/longer/than/what/is/left/of/a/narrow/terminals/line/.flowerbed"
    checks = [
        Check("cache", State.OK, "68 GB free at /home/somebody/.cache/flowerbed, which takes more than 1.1 GB " * 2),
        Check("folder", State.WRONG, f"{path}: cannot be written", "mend that,\nthen: flowerbed doctor"),
    ]
    lines = list(laid_out(checks, width))
    assert all(len(line) <= width or path in line for line in lines)
    assert [line[:17] for line in lines if line[0] != " "] == ["ok       cache   ", "WRONG    folder  "]
    assert all(line.startswith(" " * 17) for line in lines if line[0] == " ")
    assert lines[-2:] == [" " * 17 + "next: mend that,", " " * 17 + "then: flowerbed doctor"]
    assert " ".join(line[17:] for line in lines).replace("  ", " ").count("1.1 GB") == 2
    assert len(list(laid_out(checks, None))) == 4


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
        (Machine(**{**vars(GOOD), "cache_writable": False, "cache": None}), {"cache": State.WRONG}),
        (Machine(**{**vars(GOOD), "uv_cache_writable": False}), {"uv": State.WRONG}),
    ],
)
def test_what_is_wrong_comes_with_the_next_command(machine: Machine, wrong: dict[str, State]) -> None:
    found: list[Check] = [check for check in check_machine(machine) if check.state is not State.OK]
    assert {check.id: check.state for check in found} == wrong
    assert all(check.next for check in found)
