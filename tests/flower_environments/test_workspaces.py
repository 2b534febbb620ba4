"""An app in a uv workspace: ``{workspace = true}`` works as ``{path = …}`` does."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from flowerbed.environments.app_locking import lock
from flowerbed.environments.asking import read_asked, request
from flowerbed.environments.python import current
from flowerbed.environments.solving import solve, write_project
from flowerbed.environments.sources import copy_local
from flowerbed.environments.workspaces import find_workspace
from flowerbed.errors import AppError

MINE = "[tool.uv.sources]\ncommon = {workspace = true}\n"


def project(folder: Path, *dependencies: str, more: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    listed = ", ".join(f'"{one}"' for one in dependencies)
    text = f'[project]\nname = "{folder.name}"\nversion = "7"\ndependencies = [{listed}]\n{more}'
    (folder / "pyproject.toml").write_text(text)
    (folder / f"{folder.name.replace('-', '_')}.py").write_text("X = 7\n")
    return folder


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a monorepo: an app, and libraries of which one needs the other."""
    monkeypatch.setenv("FLOWERBED_CACHE_DIR", str(tmp_path / "cache"))
    repo = tmp_path / "repo"
    workspace = '[tool.uv.workspace]\nmembers = ["apps/*", "libs/**"]\nexclude = ["libs/old"]\n'
    project(repo, more=f"{workspace}[tool.uv.sources]\ntools = {{path = 'vendored/tools'}}\n")
    project(repo / "apps" / "digits", "flwr>=1.22", "Common", more=MINE)
    project(repo / "libs" / "common", "deep-down", "tools", more="[tool.uv.sources]\ndeep_down = {workspace = true}\n")
    project(repo / "libs" / "inner" / "deep-down", more="[tool.uv.sources]\nflwr = {workspace = true}\n")
    project(repo / "libs" / "old")
    project(repo / "vendored" / "tools")
    return repo


def paths(app: Path) -> dict[str, Path]:
    return dict(request(app, release="1.22.0", python=current()).paths)


def test_members_are_found_however_they_are_listed_and_what_they_need_too(repo: Path) -> None:
    found = find_workspace(repo / "apps" / "digits")
    assert found is not None
    assert sorted(found.members) == ["common", "deep-down", "digits", "repo"]
    assert paths(repo / "apps" / "digits") == {
        "common": repo / "libs" / "common",
        "deep-down": repo / "libs" / "inner" / "deep-down",
        "tools": repo / "vendored" / "tools",
    }
    assert find_workspace(repo / "libs" / "old") is None
    assert find_workspace(repo / "vendored" / "tools") is None


def test_a_changed_member_is_another_environment_and_a_changed_stranger_is_not(repo: Path) -> None:
    def key() -> str:
        return request(repo / "apps" / "digits", release="1.22.0", python=current()).key

    before = key()
    (repo / "libs" / "old" / "old.py").write_text("X = 8\n")
    assert key() == before
    (repo / "libs" / "inner" / "deep-down" / "deep_down.py").write_text("X = 8\n")
    assert key() != before


def test_uv_solves_the_copies_and_nothing_is_written_beside_the_originals(repo: Path, tmp_path: Path) -> None:
    wanted = request(repo / "apps" / "digits", release="1.22.0", python=current())
    copies = {name: tmp_path / "made" / "local" / name for name in wanted.paths}
    for name, path in wanted.paths.items():
        copy_local(path, copies[name], copies, wanted.python.markers())
    write_project(tmp_path / "made", wanted.requirements, wanted.settings, copies)
    solved = solve(tmp_path / "made", current().path, doing="solving", where=None)
    assert set(solved) == {"common", "deep-down", "tools"}
    copied = tomllib.loads((copies["common"] / "pyproject.toml").read_text())
    assert copied["tool"]["uv"]["sources"] == {
        name: {"path": str(copies[name.replace("_", "-")])} for name in ("tools", "deep_down")
    }
    assert not list(repo.rglob("*.lock"))


def test_the_roots_settings_count_and_a_members_own_go_before_them(repo: Path) -> None:
    root = repo / "pyproject.toml"
    root.write_text(
        root.read_text() + 'torch = {index = "cpu"}\ncommon = {path = "/nowhere"}\n'
        '[[tool.uv.index]]\nname = "cpu"\nurl = "https://example.org/cpu"\n'
    )
    settings = read_asked(repo / "apps" / "digits", release="1.22.0", python=current()).wanted.settings
    assert settings["index"] == [{"name": "cpu", "url": "https://example.org/cpu"}]
    assert settings["sources"] == {"torch": {"index": "cpu"}}
    assert paths(repo / "apps" / "digits")["common"] == repo / "libs" / "common"


def test_a_source_for_another_platform_does_not_count(repo: Path) -> None:
    app = repo / "apps" / "digits"
    for marker, found in (("sys_platform == 'linux'", True), ("sys_platform == 'win32'", False)):
        project(app, "common", more=f'[tool.uv.sources]\ncommon = [{{workspace = true, marker = "{marker}"}}]\n')
        assert ("common" in paths(app)) is found


@pytest.mark.parametrize(
    ("folder", "name", "says"),
    [
        (
            "apps/digits",
            "old",
            "has no member of that name\n{repo}/pyproject.toml has common, deep-down, digits, repo.",
        ),
        ("vendored/tools", "common", "this project is in none\nName the project in members of [tool.uv.workspace]"),
        ("libs/old", "common", "this project is in none\n"),
    ],
)
def test_what_is_no_member_is_refused_with_what_to_write(repo: Path, folder: str, name: str, says: str) -> None:
    app = project(repo / folder, name, more=f"[tool.uv.sources]\n{name} = {{workspace = true}}\n")
    with pytest.raises(AppError) as caught:
        paths(app)
    assert f"{app}/pyproject.toml: the dependency '{name}' is said to be in the same uv workspace" in str(caught.value)
    assert says.format(repo=repo) in str(caught.value)


def test_an_image_is_refused_as_for_any_folder_of_this_machine(repo: Path) -> None:
    asked = read_asked(repo / "apps" / "digits", release="1.22.0", python=current())
    with pytest.raises(AppError, match=r"'common' lies in '../../libs/common', on this machine"):
        lock(asked, ["3.11"])
