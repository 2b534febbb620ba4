"""Staging an app's folder: what a FAB can hold, and nothing of the user's at risk."""

from __future__ import annotations

import os
import subprocess
from fnmatch import fnmatch
from pathlib import Path

import pytest
from by_hand import RELEASES, environment

from environments import environment_python
from flowerbed.errors import AppError
from flowerbed.flower import staging
from flowerbed.flower.staging import stage


def _tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir() or path.is_symlink()}


def _write(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def test_what_is_staged_and_what_is_not(tmp_path: Path) -> None:
    app = tmp_path / "app"
    kept = {"pyproject.toml", "README.md", "LICENSE", ".gitignore", "tiny/a.py", "tiny/b.json", "tiny/federation.yaml"}
    _write(app, *kept)
    _write(app, "federation.yaml", "federation.lock", ".git/a.py", ".flowerbed/a.py", ".venv/a.py", "node_modules/a.py")
    _write(app, "tiny/__pycache__/a.py", "tiny/a.pyc", "data/images.npz", "data/0.png")
    staged = stage(app, app / ".flowerbed" / "staging" / "1")
    assert _tree(staged.folder) == kept
    assert (staged.files, staged.too_large) == (len(kept), [])
    assert (staged.folder / "tiny" / "a.py").read_text() == "tiny/a.py"


def test_files_are_linked_and_not_copied(tmp_path: Path) -> None:
    _write(tmp_path / "app", "a.py")
    stage(tmp_path / "app", tmp_path / "staged")
    assert (tmp_path / "app" / "a.py").samefile(tmp_path / "staged" / "a.py")


def test_a_file_system_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    _write(tmp_path / "app", "a.py")
    stage(tmp_path / "app", tmp_path / "staged")
    assert (tmp_path / "staged" / "a.py").read_text() == "a.py"


def test_links_stay_links_and_never_leave(tmp_path: Path) -> None:
    app = tmp_path / "app"
    _write(app, "tiny/a.py", ".venv/b.py")
    _write(tmp_path, "secret.py", "outside/c.py")
    (app / "inside.py").symlink_to(app / "tiny" / "a.py")
    (app / "folder").symlink_to("tiny")
    (app / "secret.py").symlink_to(tmp_path / "secret.py")
    (app / "outside").symlink_to("../outside")
    (app / "venv.py").symlink_to(".venv/b.py")
    (app / "dangling.py").symlink_to("nowhere.py")
    (app / "loop").symlink_to("loop")
    staged = stage(app, tmp_path / "staged").folder
    assert _tree(staged) == {"tiny/a.py", "inside.py", "folder"}
    assert (staged / "inside.py").readlink() == Path("tiny/a.py")
    assert (staged / "folder" / "a.py").resolve().is_relative_to(staged.resolve())


def test_a_file_that_no_fab_can_hold(tmp_path: Path) -> None:
    _write(tmp_path / "app", "a.py", "data.json")
    with (tmp_path / "app" / "data.json").open("wb") as file:
        file.truncate(staging.MAX_FILE_BYTES + 1)
    staged = stage(tmp_path / "app", tmp_path / "staged")
    assert (staged.files, staged.too_large) == (1, ["data.json"])


def test_a_folder_that_is_far_more_than_an_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "MAX_FILES", 3)
    _write(tmp_path / "app", *(f"{number}.json" for number in range(4)))
    with pytest.raises(AppError, match="more than an app"):
        stage(tmp_path / "app", tmp_path / "staged")


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(AppError, match="does not exist") as caught:
        stage(tmp_path / "app", tmp_path / "staged")
    assert caught.value.where == str(tmp_path / "app")
    _write(tmp_path, "file")
    with pytest.raises(AppError, match="is not a folder"):
        stage(tmp_path / "file", tmp_path / "staged")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_read(tmp_path: Path) -> None:
    _write(tmp_path / "app", "tiny/a.py")
    (tmp_path / "app" / "tiny").chmod(0)
    try:
        with pytest.raises(AppError, match="cannot be read"):
            stage(tmp_path / "app", tmp_path / "staged")
    finally:
        (tmp_path / "app" / "tiny").chmod(0o755)


@pytest.mark.flower
@pytest.mark.parametrize("release", RELEASES)
def test_every_kind_of_file_that_a_release_packs_is_staged(release: str, tmp_path: Path) -> None:
    code = (
        "import flwr.common.constant as c; "
        "print(*getattr(c, 'FAB_INCLUDE_PATTERNS', None) or ['**/*' + e for e in c.FAB_ALLOWED_EXTENSIONS])"
    )
    done = subprocess.run(
        [environment_python(release), "-c", code], env=environment(tmp_path), capture_output=True, text=True, check=True
    )
    patterns = [pattern.removeprefix("**/").removeprefix("/") for pattern in done.stdout.split()]
    staged = [f"a{suffix}" for suffix in staging.SUFFIXES] + sorted(staging.NAMES)
    assert patterns
    assert [pattern for pattern in patterns if not any(fnmatch(name, pattern) for name in staged)] == []
