"""What is built is built once, whole or not at all."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cluster import build, packages

_TESTS = Path(__file__).parents[1]
_SOURCES = Path(__file__).parent
_BUILD = "from cluster import build; build.built('pause', '', '', print)"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    if problem := packages.missing_go():
        pytest.skip(problem)
    monkeypatch.setenv("FLOWERBED_CACHE_DIR", str(tmp_path))
    return tmp_path / "cluster"


def test_two_at_once_build_once(cache: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(_TESTS)}
    command = [sys.executable, "-c", _BUILD]
    both = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [one.communicate(timeout=120)[0] for one in both]
    assert [one.returncode for one in both] == [0, 0]
    assert "".join(said).count("building pause") == 1
    [folder] = cache.glob("pause-*")
    assert [file.name for file in folder.iterdir()] == ["pause"]


def test_what_a_killed_build_left_is_removed(cache: Path) -> None:
    left = cache / ".pause-killed"
    left.mkdir(parents=True)
    (left / "pause").write_text("half of a program")
    program = build.built("pause", "", "", lambda _: None) / "pause"
    assert not left.exists()
    assert program.stat().st_size > 100_000


def test_a_change_builds_anew_and_a_mistake_is_told(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = build.built("pause", "", "", lambda _: None)
    shutil.copytree(_SOURCES / "pause", tmp_path / "sources" / "pause")
    monkeypatch.setattr(build, "SOURCES", tmp_path / "sources")
    assert build.built("pause", "", "", lambda _: None) == first  # the same, elsewhere
    with (tmp_path / "sources" / "pause" / "main.go").open("a") as file:
        file.write("\nfunc broken() { return 1 }\n")
    with pytest.raises(build.BuildFailed, match="too many return values"):
        build.built("pause", "", "", lambda _: None)
    assert list(cache.glob("pause-*")) == [first]


def test_without_go_it_says_what_is_needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(packages, "SEARCH_PATH", str(tmp_path))
    assert "no go is on PATH" in (packages.missing_go() or "")
    old = tmp_path / "go"
    old.write_text("#!/bin/sh\necho go1.19.8\n")
    old.chmod(0o755)
    assert (packages.missing_go() or "").endswith(f"Go 1.24 or newer, and {old} is go1.19.8")
