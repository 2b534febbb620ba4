"""A supervisor notices that its folder, its database or its lock is no longer its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flowerbed.local import footing
from flowerbed.local.footing import Footing, take
from flowerbed.local.layout import StateFolder


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    made = StateFolder(tmp_path / "app" / ".flowerbed")
    made.create()
    made.database.write_bytes(b"runs")
    return made


@pytest.fixture
def held(folder: StateFolder) -> Iterator[Footing]:
    lock = take(folder)
    assert lock is not None
    one = Footing(folder, lock)
    yield one
    one.close()


def replaced(path: Path) -> None:
    shutil.copytree(path, path.with_name("copy"))
    shutil.rmtree(path)
    path.with_name("copy").rename(path)


@pytest.mark.parametrize(
    ("what", "gone"),
    [
        (lambda folder: shutil.rmtree(folder.root), ""),
        (lambda folder: folder.root.rename(folder.root.with_name("moved")), ""),
        (lambda folder: replaced(folder.root), ""),
        (lambda folder: shutil.rmtree(folder.root.parent), ""),
        (lambda folder: folder.database.unlink(), "/state.db"),
    ],
)
def test_what_is_gone_is_named(
    folder: StateFolder, held: Footing, what: Callable[[StateFolder], None], gone: str
) -> None:
    assert held.lost() == ""
    what(folder)
    assert held.lost() == f"{folder.root}{gone} was deleted, moved or replaced"


def test_a_lock_that_alone_is_gone_is_taken_again(
    folder: StateFolder, held: Footing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(footing, "_PAUSE_SECONDS", 0.0)
    folder.lock.unlink()
    assert held.lost() == ""
    assert take(folder) is None

    folder.lock.unlink()
    other = take(folder)
    assert other is not None
    assert held.lost() == f"another supervisor has taken {folder.lock}"
    other.close()


def test_only_what_is_empty_is_cleared_and_nothing_of_another_federation(folder: StateFolder, held: Footing) -> None:
    shutil.rmtree(folder.root)
    folder.home("superlink").mkdir(parents=True)
    held.clear()
    assert not folder.root.exists()

    folder.create()
    folder.database.touch()
    held.clear()
    assert folder.logs.is_dir()

    folder.database.unlink()
    (folder.root / "mine.txt").touch()
    held.clear()
    assert (folder.root / "mine.txt").exists()
