"""Wrong input: one clear error, an exit status of 2, and nothing started or written."""

from __future__ import annotations

import json
import shutil
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from flowerbed.local.store import Store

APPS = Path(__file__).parents[1] / "apps"
HEAD = "apiVersion: flowerbed.dev/v1alpha1\nkind: Federation\nmetadata: {name: test}\nspec:\n"

Say = Callable[..., tuple[int, str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with an app, which is also the working folder."""
    shutil.copytree(APPS / "slow", tmp_path / "slow")
    monkeypatch.chdir(tmp_path / "slow")
    return tmp_path / "slow"


def write(folder: Path, spec: str) -> None:
    (folder / "federation.yaml").write_text(HEAD + spec, encoding="utf-8")


@pytest.mark.parametrize(
    ("spec", "old", "new", "found"),
    [
        ("  run: {config: {second: 1.0}}\n", "", "", "run-config"),
        ("  run: {config: {num-server-rounds: 1.5}}\n", "", "", "run-config"),
        ("  supernodes: [{name: a, replicas: 5000}]\n", "", "", "fits"),
        ("  superlink: {ports: {fleet: PORT}}\n", "", "", "superlink"),
        ("  superlink: {ports: {contrl: 9999}}\n", "", "", "file"),
        ("  security: {tls: {mode: Secret, secretName: a}}\n", "", "", "superlink"),
        ("", '"flwr>=1.22.0"', '"flwr<1.22"', "flower"),
        ("", "[project]", '[project]\nrequires-python = "<3.9"', "app-python"),
        ("", "slow_app.server_app:app", "slow_app.servr_app:app", "app"),
        ("", "[tool.flwr.app]", '[tool.uv.sources]\nnumpy = {path = "../np"}\n[tool.flwr.app]', "dependencies"),
        ("", "[tool.flwr.app]", "[tool.uv.sources]\nnumpy = {workspace = true}\n[tool.flwr.app]", "dependencies"),
        ("  app: {path: .}\n", "STATE", "", "folder"),
    ],
)
def test_doctor_finds_what_up_refuses_and_says_it_in_the_same_words(
    folder: Path, say: Say, monkeypatch: pytest.MonkeyPatch, spec: str, old: str, new: str, found: str
) -> None:
    monkeypatch.setenv("FLOWERBED_CACHE_DIR", str(folder.parent / "cache"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        pool = "" if "supernodes" in spec else "  supernodes: [{name: a}]\n"
        write(folder, spec.replace("PORT", str(taken.getsockname()[1])) + pool)
        if old == "STATE":
            (folder / ".flowerbed").write_text("in the way")
        elif old:
            pyproject = folder / "pyproject.toml"
            assert old in pyproject.read_text()
            pyproject.write_text(pyproject.read_text().replace(old, new))
        status, refusal = say("up")
        assert status in (1, 2)
        assert not (folder / ".flowerbed" / "state.db").exists()
        status, said = say("doctor", "--json")
    wrong = [check for check in map(json.loads, said.splitlines()) if check["state"] == "wrong"]
    assert (status, [check["id"] for check in wrong]) == (1, [found])
    assert wrong[0]["message"] in refusal
    assert wrong[0]["next"]


def test_a_lever_that_there_is_not_is_named_with_those_that_there_are(
    folder: Path, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOWERBED_CACHE_DIR", str(folder.parent / "cache"))
    monkeypatch.setenv("FLOWERBED_LEVERS", "hold, forc")
    status, said = say("up")
    assert status == 2
    assert "FLOWERBED_LEVERS: there is no lever 'forc'; did you mean 'fork'?" in said
    assert "Levers are fork, hold, pace, " in said
    assert not (folder / ".flowerbed" / "state.db").exists()
    status, said = say("doctor", "--json")
    [wrong] = [check for check in map(json.loads, said.splitlines()) if check["state"] == "wrong"]
    assert (status, wrong["id"]) == (1, "execution")


@pytest.mark.parametrize(
    ("spec", "where", "words"),
    [
        ('  flower: "1.43"\n  supernodes: [{name: a}]\n', "5:11", ["1.43", "not proven", "1.42"]),
        ('  flower: "1.21"\n  supernodes: [{name: a}]\n', "5:11", ["1.21", "not proven", "1.22"]),
        ("  flower: 1.40\n  supernodes: [{name: a}]\n", "5:11", ["1.40", "quotes"]),
        ("  supernodes: [{name: a, replica: 2}]\n", "5:26", ["replica", "replicas"]),
        ("  supernodes: [{name: a, replicas: 0}]\n", "5:36", ["0"]),
        ("  supernodes: [{name: a, replicas: 10000}]\n", "5:36", ["10000 SuperNodes", "fit"]),
        ("  supernodes: [{name: a, replicas: two}]\n", "5:36", ["two"]),
        ("  supernodes:\n\t- name: a\n", "6:1", ["tab"]),
        ("  supernodes: [{name: a}]\n  supernodes: [{name: b}]\n", "6:3", ["supernodes", "5"]),
        (f"  supernodes: [{{name: {'a' * 60}}}]\n", "5:23", ["40"]),
        ("  app: {path: nowhere}\n  supernodes: [{name: a}]\n", "5:15", ["nowhere"]),
        ("  superlink: {ports: {control: 9093}}\n  supernodes: [{name: a}]\n", "5:32", ["no such port", "api"]),
    ],
)
def test_a_wrong_file_is_refused_at_its_place(folder: Path, say: Say, spec: str, where: str, words: list[str]) -> None:
    write(folder, spec)
    status, said = say("up")
    assert status == 2
    assert f"federation.yaml:{where}: " in said
    for word in words:
        assert word in said
    assert not (folder / ".flowerbed" / "state.db").exists()


def test_a_folder_without_an_app_is_told_apart_from_no_folder(tmp_path: Path, say: Say) -> None:
    assert say("run", str(tmp_path / "none")) == (
        2,
        f"flowerbed: {tmp_path / 'none'}: there is no such file or folder\n",
    )
    status, said = say("run", str(tmp_path))
    assert (status, "this is no Flower App" in said, "flowerbed new" in said) == (2, True, True)


def test_a_pyproject_of_something_else_is_no_flower_app(tmp_path: Path, say: Say) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "web"\nversion = "1"\n')
    status, said = say("run", str(tmp_path))
    assert status == 2
    assert "[tool.flwr.app]" in said


def test_a_run_config_key_that_the_app_lacks_names_the_nearest(folder: Path, say: Say) -> None:
    status, said = say("run", "--run-config", "num-server-round=2")
    assert status == 2
    assert '"num-server-rounds"' in said


@pytest.mark.parametrize("command", [["run"], ["up"], ["render"], ["build"]])
def test_a_run_config_of_another_type_is_refused_by_all_who_know_the_app(
    folder: Path, say: Say, command: list[str]
) -> None:
    image = "  app: {image: ghcr.io/example/app:1}\n"
    write(folder, f'{image}  supernodes: [{{name: a}}]\n  run: {{config: {{num-server-rounds: "3", seconds: 1}}}}\n')
    status, said = say(*command)
    assert status == 2
    assert "federation.yaml:7:37: spec.run.config.num-server-rounds: wanted a whole number" in said
    assert said.count("wanted") == 1
    assert not (folder / ".flowerbed" / "state.db").exists()


def test_a_second_pair_without_its_flag_is_explained(folder: Path, say: Say) -> None:
    status, said = say("run", "--run-config", "seconds=1.0", "num-server-rounds=2")
    assert status == 2
    assert "--run-config before each pair" in said


@pytest.mark.parametrize("timeout", ["5 minutes", "0s", "soon", "10"])
def test_a_time_limit_that_is_none_is_refused(folder: Path, say: Say, timeout: str) -> None:
    status, said = say("run", "--timeout", timeout)
    assert status == 2
    assert "--timeout" in said


def test_not_following_needs_a_federation_that_stays_up(folder: Path, say: Say) -> None:
    status, said = say("run", "--no-follow")
    assert status == 2
    assert "flowerbed up --detach" in said


def test_a_dependency_that_cannot_be_solved_gives_the_solvers_reason(folder: Path, say: Say) -> None:
    pyproject = folder / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace('"numpy>=1.24"', '"numpy>=1.24", "numpy<1"'))
    status, said = say("run")
    assert status == 1
    assert "numpy" in said
    assert not (folder / ".flowerbed" / "state.db").exists()


def test_an_app_that_excludes_the_release_names_both(folder: Path, say: Say) -> None:
    pyproject = folder / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace('"flwr>=1.22.0"', '"flwr>=1.30,<1.32"'))
    status, said = say("run", "--flower", "1.42")
    assert status == 2
    assert "1.42" in said
    assert "<1.32" in said


def test_a_state_folder_that_cannot_be_made_is_said_so(folder: Path, say: Say) -> None:
    (folder / ".flowerbed").write_text("in the way")
    status, said = say("run")
    assert status == 1
    assert "state folder" in said


def test_state_of_a_newer_flowerbed_is_refused_and_kept(folder: Path, say: Say) -> None:
    (folder / ".flowerbed").mkdir()
    state = folder / ".flowerbed" / "state.db"
    Store(state, create=True).close()
    db = sqlite3.connect(state)
    db.execute("PRAGMA user_version = 99")
    db.close()
    before = state.read_bytes()
    status, said = say("status")
    assert status == 1
    assert "newer Flowerbed" in said
    assert state.read_bytes() == before


def test_unknown_runs_and_components_are_named_with_what_there_is(folder: Path, say: Say) -> None:
    (folder / ".flowerbed" / "logs").mkdir(parents=True)
    (folder / ".flowerbed" / "logs" / "superlink.log").write_text("a line\n")
    Store(folder / ".flowerbed" / "state.db", create=True).close()
    assert "did you mean 'superlink'?" in say("logs", "superlnk")[1]
    status, said = say("stop", "4")
    assert (status, "flowerbed run" in said) == (2, True)


def test_stopping_what_is_not_up_says_how_to_start_it(folder: Path, say: Say) -> None:
    assert say("down") == (0, "The federation was not up.\n")
    status, said = say("status")
    assert (status, "down" in said) == (1, True)


def test_a_python_that_the_release_does_not_run_on_is_told_at_its_place(folder: Path, say: Say) -> None:
    write(folder, '  flower: "1.42"\n  python: "3.9"\n  supernodes: [{name: a}]\n')
    status, said = say("up")
    assert status == 2
    assert "federation.yaml:6:11: spec.python: Flower 1.42.0 does not run on Python 3.9; it runs on 3.11, " in said


@pytest.mark.parametrize("flower", ["", '  flower: "1.42"\n'])
@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[project]", '[project]\nrequires-python = ">=3.30"', "the app needs Python >=3.30, and Flower 1."),
        ("[project]", '[project]\nrequires-python = "<3.9"', "runs on 3."),
        ('"flwr>=1.22.0"', '"flwr==1.20.0"', "flwr==1.20.0"),
        ('"flwr>=1.22.0"', '"flwr==0.1"', "0.1"),
    ],
)
def test_a_mistake_in_pyproject_is_told_at_its_line(
    folder: Path, say: Say, flower: str, old: str, new: str, words: str
) -> None:
    pyproject = folder / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace(old, new))
    if flower:
        write(folder, f"{flower}  supernodes: [{{name: a}}]\n")
    status, said = say("up", "--json")
    error = json.loads(said)
    [line] = [
        number for number, text in enumerate(pyproject.read_text().splitlines(), 1) if new.split("\n")[-1] in text
    ]
    place = "federation.yaml:5" if flower and "flwr" in new else f"pyproject.toml:{line}"
    assert (status, words in error["message"]) == (2, True)
    assert place in (error["where"] or error["message"])


def test_a_python_that_the_app_does_not_allow_is_told_at_its_place(folder: Path, say: Say) -> None:
    pyproject = folder / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace("[project]", '[project]\nrequires-python = ">=3.12"'))
    write(folder, '  flower: "1.42"\n  python: "3.11"\n  supernodes: [{name: a}]\n')
    status, said = say("up")
    assert (status, "federation.yaml:6:11: spec.python: the app needs Python >=3.12, and this is 3.11" in said) == (
        2,
        True,
    )


def test_errors_are_json_too(folder: Path, say: Say) -> None:
    write(folder, "  supernodes: [{nam: a}]\n")
    status, said = say("up", "--json")
    error = json.loads(said)
    assert (status, error["error"]) == (2, "SpecError")
    assert (error["problems"][0]["line"], error["problems"][0]["column"]) == (5, 17)


@pytest.mark.parametrize("tokens", [("runn",), ("run", "--jsn"), ("stop",), ("env", "prun")])
def test_a_misspelt_command_line_points_to_help(say: Say, tokens: tuple[str, ...]) -> None:
    status, said = say(*tokens)
    assert status == 2
    assert "--help" in said


def test_help_and_version_are_no_errors(say: Say) -> None:
    assert say("--help")[0] == 0
    assert say("--version")[0] == 0


def test_a_certificate_for_a_client_is_for_a_cluster(folder: Path, say: Say) -> None:
    write(folder, "  supernodes: [{name: a}]\n")
    status, said = say("trust", "export", "--client", "peer")
    assert status == 2
    assert "is for a federation in a cluster" in said
    assert not (folder / "peer").exists()
    status, said = say("trust", "export", "--client", "Peer 1", "--on", "kubernetes")
    assert status == 2
    assert "'Peer 1' is no name for a client" in said
