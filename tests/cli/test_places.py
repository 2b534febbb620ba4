"""Where a command looks: a folder without a federation, another user's, and the folder of a demo."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from flowerbed.cli.demo import free_folder
from saying import Say

NOBODY = 65534


@pytest.mark.parametrize(
    "command", ["status", "runs", "logs", "results", "stop 1", "node list", "trust show", "trust export"]
)
def test_an_empty_folder_has_no_federation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, say: Say, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    status, said = say(*command.split())
    assert (status, said.startswith(f"flowerbed: {tmp_path}: there is no federation here: ")) == (1, True)
    assert list(tmp_path.iterdir()) == []


def test_down_says_that_nothing_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, say: Say) -> None:
    monkeypatch.chdir(tmp_path)
    assert say("down") == (0, f"There is no federation in {tmp_path}.\n")
    (tmp_path / "pyproject.toml").touch()
    assert say("down") == (0, "The federation was not up.\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else for a moment")
@pytest.mark.parametrize("command", ["down", "status", "runs"])
def test_another_user_s_federation_is_named_as_that(tmp_path: Path, say: Say, command: str) -> None:
    temporary = Path(tempfile.gettempdir()).resolve()
    for folder in (tmp_path.resolve(), *tmp_path.resolve().parents):
        if temporary in folder.parents:  # pytest and its workers keep their folders to themselves
            folder.chmod(0o755)
    (tmp_path / ".flowerbed").mkdir(mode=0o700)
    say("status", "--file", str(tmp_path))  # what it imports may be root's alone
    os.seteuid(NOBODY)
    try:
        status, said = say(command, "--file", str(tmp_path))
    finally:
        os.seteuid(0)
    assert (status, "the federation here is root's, and others cannot look at it" in said) == (1, True)


def test_each_demo_at_a_time_has_a_folder_of_its_own(tmp_path: Path) -> None:
    with free_folder(tmp_path) as one, free_folder(tmp_path) as other:
        assert (one.name, other.name) == ("digits", "digits-2")
    with free_folder(tmp_path) as again:
        assert again == one


def test_new_refuses_a_release_that_is_not_proven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, say: Say) -> None:
    monkeypatch.chdir(tmp_path)
    status, said = say("new", "my-app", "--flower", "9.9")
    assert (status, said.startswith("flowerbed: Flower 9.9 is not proven here\nThe nearest proven release is ")) == (
        2,
        True,
    )
    assert list(tmp_path.iterdir()) == []
