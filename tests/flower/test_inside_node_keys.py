"""Which key a SuperNode in a Pod comes with, and what its unit does when it has none or is not let in."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from by_hand import eventually
from units import RunningUnit

from flowerbed.trust import keys
from flowerbed_inside.unit import node_keys
from flowerbed_inside.variables import SETTLE

PYTHON = (sys.executable, "-u", "-c")
WAITS = "import time; print('here', flush=True); time.sleep(1000)"


def spare(count: int) -> list[tuple[str, str]]:
    private = [keys.new_node_key(os.urandom) for _ in range(count)]
    return [(key.decode(), keys.public_line(key, "site-0").decode() + "\n") for key in private]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "keys"
    made.write_text("".join(private + public for private, public in spare(3)))
    return made


def taken(file: Path, folder: Path) -> tuple[str, str]:
    node_keys.take(file, folder)
    return (folder / node_keys.KEY).read_text(), (folder / node_keys.PUBLIC).read_text()


def test_each_start_takes_the_next_key_and_all_come_in_turn(file: Path, tmp_path: Path) -> None:
    there = node_keys.parse(file.read_text())
    assert len(there) == 3
    seen = [taken(file, tmp_path / "own") for _ in range(4)]
    assert sorted(seen[:3]) == sorted(there)
    assert seen[3] == seen[0]
    assert (tmp_path / "own" / node_keys.KEY).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "own").stat().st_mode & 0o777 == 0o700


def test_another_pod_of_the_same_name_does_not_always_begin_with_the_same_key(file: Path, tmp_path: Path) -> None:
    firsts = {taken(file, tmp_path / f"pod-{number}") for number in range(64)}
    assert firsts == set(node_keys.parse(file.read_text()))  # fails by chance once in 10^11


@pytest.mark.parametrize("content", ["", "nonsense\n", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"])
def test_a_file_without_a_key_is_told(content: str, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(content)
    with pytest.raises(node_keys.NoKeyError, match="there is no key in"):
        node_keys.take(tmp_path / "keys", tmp_path / "own")
    with pytest.raises(node_keys.NoKeyError, match="its keys cannot be read"):
        node_keys.take(tmp_path / "nowhere", tmp_path / "own")
    assert not (tmp_path / "own").exists()


def supernode(file: Path, folder: Path, code: str, *more: str) -> list[str]:
    return ["--node-keys", f"{file}={folder}", *more, "--", "supernode", *PYTHON, code]


def test_a_unit_starts_its_supernode_with_a_key(file: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    code = f"print('key', open({str(own / node_keys.KEY)!r}).readline(), flush=True)\n{WAITS}"
    with RunningUnit(supernode(file, own, code)) as unit:
        unit.says("here")
        assert "key -----BEGIN OPENSSH PRIVATE KEY-----" in unit.lines
        assert "[flowerbed: this SuperNode comes with key " in unit.text


def test_a_supernode_in_a_new_folder_lets_one_of_its_name_leave_first(file: Path, tmp_path: Path) -> None:
    code = f"import os; print('settles', os.environ.get({SETTLE!r}), flush=True)\n{WAITS}"
    for settles in (str(node_keys.SETTLE_SECONDS), "None"):  # in the folder of its own Pod the next key is another one
        with RunningUnit(supernode(file, tmp_path / "own", code)) as unit:
            unit.says("here")
            assert f"settles {settles}" in unit.lines


def test_the_unit_of_a_revoked_supernode_starts_nothing_and_waits(file: Path, tmp_path: Path) -> None:
    file.write_text(f"{node_keys.REVOKED}\n")
    with RunningUnit(supernode(file, tmp_path / "own", WAITS)) as unit:
        unit.says("it was revoked: `flowerbed node add` lets it join again")
        eventually(lambda: answers(unit))
        assert unit.probe("/live")[0] == 200  # so that no kubelet starts it again and again
        status, reason = unit.probe("/ready")
        assert (status, "revoked" in reason) == (503, True)
        assert unit.tree() == []
        assert unit.terminate() == 0


def answers(unit: RunningUnit) -> bool:
    try:
        return bool(unit.probe("/live"))
    except OSError:
        return False


def test_a_unit_without_a_key_ends_before_anything_starts(tmp_path: Path) -> None:
    with RunningUnit(supernode(tmp_path / "nowhere", tmp_path / "own", WAITS)) as unit:
        assert unit.ends() != 0
        assert "its keys cannot be read" in unit.text
        assert "here" not in unit.lines


def test_a_supernode_that_is_not_let_in_and_hangs_is_ended(file: Path, tmp_path: Path) -> None:
    code = f"print('No SuperNode with that key', flush=True)\n{WAITS}"
    with RunningUnit(supernode(file, tmp_path / "own", code, "--refused", "No SuperNode|not registered")) as unit:
        assert unit.ends() != 0
        assert "not let in" in unit.text


def test_a_unit_ends_when_a_file_that_its_program_has_read_changes(tmp_path: Path) -> None:
    """As the kubelet brings a new Secret: a link to a folder is replaced by one to another."""
    for name, content in (("one", "old"), ("two", "new")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tls.crt").write_text(content)
    data = tmp_path / "data"
    data.symlink_to("one")
    (tmp_path / "tls.crt").symlink_to("data/tls.crt")
    words = ["--end-when-changed", str(tmp_path / "tls.crt"), "--", "superlink", *PYTHON, WAITS]
    with RunningUnit(words) as unit:
        unit.says("here")
        other = tmp_path / "other"
        other.symlink_to("two")
        other.replace(data)
        assert unit.ends() != 0
        assert "tls.crt" in unit.text
