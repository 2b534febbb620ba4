"""The check of an app in Flower's environment, before anything is started."""

from __future__ import annotations

from pathlib import Path

import pytest
from by_hand import CLIENT_APP, PYPROJECT, RELEASES, SERVER, check_app, write_app

from flowerbed.errors import AppError
from flowerbed.flower.checked import explain

pytestmark = pytest.mark.flower

RELEASE = pytest.mark.parametrize("release", RELEASES)
NEWEST = RELEASES[-1]


@RELEASE
def test_a_good_app(release: str, tmp_path: Path) -> None:
    answer = check_app(release, write_app(tmp_path / "app", server='print("hello from the app")\n' + SERVER))
    assert answer["ok"], answer
    assert answer["serverapp"] == "tiny.server:app"
    assert answer["config"] == {"lines": 3, "pause": 0.1, "name.of.line": "line"}
    assert answer["fab_files"] == ["pyproject.toml", "tiny/__init__.py", "tiny/client.py", "tiny/server.py"]
    assert not list(tmp_path.rglob("__pycache__"))
    assert "numpy" in answer["libraries"]
    assert [name for name in answer["libraries"] if "tiny" in name or name == "json"] == []


@RELEASE
def test_code_at_the_top_of_the_app_named_as_our_own(release: str, tmp_path: Path) -> None:
    app = tmp_path / "app"
    app.mkdir()
    (app / "pyproject.toml").write_text(PYPROJECT.replace("tiny.server:app", "check:app").replace("tiny.", ""))
    (app / "check.py").write_text(SERVER)
    (app / "client.py").write_text(CLIENT_APP)
    assert check_app(release, app)["ok"]


@RELEASE
def test_a_missing_module_is_named_with_the_users_own_traceback(release: str, tmp_path: Path) -> None:
    app = write_app(tmp_path / "app", server="import tiny.model\n")
    (app / "tiny" / "model.py").write_text("import nonexistent_torch\n")
    answer = check_app(release, app)
    assert (answer["ok"], answer["stage"], answer["missing_module"]) == (False, "serverapp", "nonexistent_torch")
    frames = [line.strip() for line in answer["traceback"].splitlines() if "File " in line]
    assert frames == [
        f'File "{app}/tiny/server.py", line 1, in <module>',
        f'File "{app}/tiny/model.py", line 1, in <module>',
    ]


def test_a_syntax_error(tmp_path: Path) -> None:
    app = write_app(tmp_path / "app", client="def broken(:\n")
    answer = check_app(NEWEST, app)
    assert (answer["stage"], answer["missing_module"]) == ("clientapp", None)
    assert f'File "{app}/tiny/client.py", line 1' in answer["traceback"]
    assert "SyntaxError" in answer["message"]


@pytest.mark.parametrize("code", ["raise ValueError('not today')", "import sys; sys.exit(3)"])
def test_an_app_that_raises_at_import(code: str, tmp_path: Path) -> None:
    answer = check_app(NEWEST, write_app(tmp_path / "app", server=code))
    assert answer["stage"] == "serverapp"
    assert answer["traceback"].splitlines()[1].endswith("line 1, in <module>")


def test_a_staged_copy_is_spoken_of_as_the_folder_that_it_was_made_of(tmp_path: Path) -> None:
    app = write_app(tmp_path / "staged", server="raise ValueError('not today')")
    answer = check_app(NEWEST, app, "--named", "/home/me/app")
    assert 'File "/home/me/app/tiny/server.py", line 1' in answer["traceback"]


def test_only_what_was_asked_for_is_imported(tmp_path: Path) -> None:
    app = write_app(tmp_path / "app", client="raise ValueError('not today')")
    assert check_app(NEWEST, app, "--what", "serverapp")["ok"]


def test_a_name_that_is_not_there(tmp_path: Path) -> None:
    app = write_app(
        tmp_path / "app", server=SERVER.replace("app = ServerApp()", "apps = app = ServerApp()") + "\ndel app\n"
    )
    assert "did you mean 'apps'" in check_app(NEWEST, app)["message"]


def test_a_name_that_is_something_else(tmp_path: Path) -> None:
    answer = check_app(NEWEST, write_app(tmp_path / "app", server=CLIENT_APP))
    assert answer["message"] == "'tiny.server:app' is a ClientApp and no ServerApp"


@RELEASE
def test_a_module_that_the_fab_leaves_out(release: str, tmp_path: Path) -> None:
    app = write_app(tmp_path / "app")
    (app / ".gitignore").write_text("# models\nclient.py\n")
    answer = check_app(release, app)
    assert (answer["stage"], answer["missing_module"]) == ("clientapp", "tiny.client")
    assert "tiny/server.py" in answer["message"]
    with pytest.raises(AppError) as caught:
        explain(answer, app)
    assert caught.value.hint == (
        "tiny/client.py is in the app's folder and not in the FAB: .gitignore, line 2, `client.py`, leaves it out."
        " Change that line, or write `!tiny/client.py` below it."
    )


def test_a_folder_that_flower_packs_into_no_fab(tmp_path: Path) -> None:
    app = write_app(tmp_path / "app", server="import lib.model\n")
    (app / "lib").mkdir()
    (app / "lib" / "model.py").write_text("")
    with pytest.raises(AppError, match=r"Flower leaves out `lib/\*\*`. Give the file or its folder another name."):
        explain(check_app(NEWEST, app), app)


def test_a_module_of_an_installed_package(tmp_path: Path) -> None:
    answer = check_app(NEWEST, write_app(tmp_path / "app", server="import numpy.nothing\n"))
    assert (answer["missing_module"], answer["installed"]) == ("numpy.nothing", "numpy")
    answer = check_app(
        NEWEST,
        write_app(
            tmp_path / "b", server="try:\n  import torch\nexcept ImportError:\n  raise ValueError('no') from None\n"
        ),
    )
    assert (answer["missing_module"], answer["installed"]) == (None, "")


@RELEASE
@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[project]", "[project", "cannot be read"),
        ('publisher = "tests"', "", "publisher"),
        ("[tool.flwr.app.components]", "[tool.flwr.app.components_]", "components"),
        ("lines = 3", "lines = [1, 2]", "lines"),
        ("tiny.server:app", "tiny.server", "tiny.server"),
    ],
)
def test_a_pyproject_that_is_no_flower_apps(release: str, old: str, new: str, says: str, tmp_path: Path) -> None:
    answer = check_app(release, write_app(tmp_path / "app", pyproject=PYPROJECT.replace(old, new)))
    assert (answer["ok"], answer["stage"]) == (False, "pyproject")
    assert says in answer["message"]


@pytest.mark.parametrize("config", ['{"linse": 3}', '{"lines": "3"}', '{"lines": true}', '{"pause": 1, "lines": 3.0}'])
def test_a_run_config_is_checked_too(config: str, tmp_path: Path) -> None:
    answer = check_app(NEWEST, write_app(tmp_path / "app"), "--config", config)
    assert (answer["stage"], "'lines'" in answer["message"]) == ("config", True)


@RELEASE
def test_gitignore_is_about_the_app_and_not_about_where_it_is(release: str, tmp_path: Path) -> None:
    """1.22 itself would leave out every file of an app below a folder that the app's .gitignore names."""
    app = write_app(tmp_path / ".flowerbed" / "staging" / "app")
    (app / ".gitignore").write_text(".flowerbed/\nstaging/\n/tiny/secret.py\n")
    (app / "tiny" / "secret.py").write_text("")
    answer = check_app(release, app)
    assert answer["ok"], answer
    assert "tiny/secret.py" not in answer["fab_files"]
