"""What an app asks for, and what uv is told and says: nothing is installed here."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from flowerbed.environments import python, uv
from flowerbed.environments.asking import request
from flowerbed.environments.cache import cache_root
from flowerbed.environments.requirements import Wanted, is_dynamic, local_path, uv_settings, wanted
from flowerbed.environments.solving import unsolved, write_project
from flowerbed.environments.uv_errors import explain
from flowerbed.errors import AppError, EnvironmentFailed, ReleaseError, UsageError

MARKERS = {"python_version": "3.11", "python_full_version": "3.11.7"}


def read(*dependencies: str, release: str = "1.22.0", settings: dict[str, object] | None = None) -> Wanted:
    return wanted(dependencies, release=release, where="app/pyproject.toml", markers=MARKERS, settings=settings)


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FLOWERBED_CACHE_DIR", str(tmp_path / "cache"))
    folder = tmp_path / "app"
    folder.mkdir()
    return folder


def write(app: Path, text: str) -> Path:
    (app / "pyproject.toml").write_text(text)
    return app


def key(app: Path, *, release: str = "1.22.0", launchers: dict[str, Path] | None = None) -> str:
    return request(app, release=release, python=python.current(), launchers=launchers).key


# --- flwr, and everything that is about it ---------------------------------------------------------------


def test_every_form_of_flwr_is_taken_out_and_the_rest_is_normalised() -> None:
    got = read(
        "flwr[simulation]>=1.22.0", "FLWR", "flwr [rest, simulation] >= 1.20 ; python_version >= '3.9'",
        "Scikit_Learn>=1.3", "numpy<3,>=1.26", "flwr-datasets[vision]>=0.5", "numpy >=1.26, <3",
    )  # fmt: skip
    assert got.requirements == ("flwr-datasets[vision]>=0.5", "numpy<3,>=1.26", "scikit-learn>=1.3")


def test_an_app_that_excludes_the_release_is_told_both_and_what_to_do() -> None:
    with pytest.raises(ReleaseError) as caught:
        read("numpy", "flwr[simulation]>=1.30,<2.0", release="1.22.0")
    assert "flwr<2.0,>=1.30" in caught.value.message
    assert "1.22.0" in caught.value.message
    assert caught.value.where == "app/pyproject.toml"
    assert "`flower`" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("requirement", "release"),
    [
        ("flwr==1.23.0", "1.22.0"),
        ("flwr @ git+https://github.com/adap/flower.git@main#subdirectory=framework", "1.22.0"),
        ("flwr-nightly", "1.22.0"),
        ("flwr>=1.30; python_version == '3.11'", "1.22.0"),
    ],
)
def test_another_flwr_is_refused(requirement: str, release: str) -> None:
    with pytest.raises(ReleaseError, match=r"1\.22\.0"):
        read(requirement, release=release)


def test_a_flwr_for_another_python_says_nothing_about_this_one() -> None:
    assert read("flwr>=1.30; python_version >= '3.12'", "flwr>=1.20; python_version < '3.12'").requirements == ()


def test_a_prerelease_as_floor_allows_the_release() -> None:
    assert read("flwr>=1.22.0.dev20250901").requirements == ()


def test_settings_for_uv_cannot_bring_another_flwr() -> None:
    settings: dict[str, object] = {
        "override-dependencies": ["flwr>=1.20", "rich<14"],
        "sources": {"flwr": {"path": "../framework"}, "torch": {"index": "cpu"}},
    }
    got = read("torch", settings=settings)
    assert got.settings == {"override-dependencies": ["rich<14"], "sources": {"torch": {"index": "cpu"}}}
    with pytest.raises(ReleaseError):
        read(settings={"override-dependencies": ["flwr==1.23.0"]})


def test_a_requirement_that_nobody_can_read_is_named() -> None:
    with pytest.raises(AppError, match=r"'numpy >> 3'"):
        read("numpy >> 3")


# --- where dependencies come from ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("file:../lib", "../lib"),
        ("file:///srv/my%20lib", "/srv/my lib"),
        ("file://localhost/srv/lib#egg=x", "/srv/lib"),
        ("{root:uri}/../lib", "./../lib"),
        ("../lib", "../lib"),
        ("https://example.org/lib.whl", None),
        ("git+ssh://git@example.org/lib", None),
        (None, None),
    ],
)
def test_direct_references_to_this_machine_are_told_from_others(url: str | None, path: str | None) -> None:
    assert local_path(url) == path


def test_a_path_that_leads_nowhere_is_named(app: Path) -> None:
    write(app, '[project]\nname = "a"\nversion = "1"\ndependencies = ["lib @ file:../lib"]\n')
    with pytest.raises(AppError, match=r"'lib' is to come from '../lib', and nothing is there"):
        key(app)


def test_settings_that_say_nothing_about_dependencies_are_left_out() -> None:
    pyproject = {"tool": {"uv": {"package": False, "dev-dependencies": ["x"], "index": [{"url": "u"}], "sources": {}}}}
    assert uv_settings(pyproject) == {"index": [{"url": "u"}]}
    assert uv_settings(pyproject, {"no-index": True}) == {"no-index": True}


def test_the_made_up_project_says_exactly_what_was_meant(tmp_path: Path) -> None:
    settings = {
        "index": [{"name": "ä", "url": "https://x/\\n"}],
        "no-build": True,
        "sources": {"torch": {"index": "ä"}},
    }
    write_project(tmp_path, ['a; python_version < "4"', "flwr==1.22.0"], settings, {"lib": Path("/srv/li b")})
    assert (tmp_path / "pyproject.toml").read_text() == (
        "[project]\n"
        '"name" = "the-app"\n'
        '"version" = "0"\n'
        '"dependencies" = ["a; python_version < \\"4\\"", "flwr==1.22.0"]\n'
        "\n"
        "[tool.uv]\n"
        '"index" = [{"name" = "ä", "url" = "https://x/\\\\n"}]\n'
        '"no-build" = true\n'
        '"sources" = {"torch" = {"index" = "ä"}, "lib" = {"path" = "/srv/li b"}}\n'
        "\n"
    )


# --- the key ---------------------------------------------------------------------------------------------


def test_the_key_is_about_what_is_asked_for_and_not_about_how_it_is_written(app: Path) -> None:
    one = key(write(app, '[project]\nname="a"\nversion="1"\ndependencies=["flwr>=1.20","NumPy>=1,<3","tomlkit"]\n'))
    other = (
        '[project]\nname = "b"\nversion = "2"\ndependencies = [\n  "tomlkit",\n  "numpy<3, >=1",\n]\n[tool.x]\ny=1\n'
    )
    assert key(write(app, other)) == one
    assert key(app, release="1.23.0") != one
    assert key(write(app, other.replace("<3", "<2"))) != one


def test_a_changed_launcher_is_another_environment(app: Path, tmp_path: Path) -> None:
    write(app, '[project]\nname = "a"\nversion = "1"\n')
    script = tmp_path / "launcher.py"
    script.write_text("print(1)\n")
    one = key(app, launchers={"flwr-serverapp": script})
    script.write_text("print(2)\n")
    assert len({one, key(app), key(app, launchers={"flwr-serverapp": script})}) == 3


def test_a_changed_local_dependency_is_another_environment(app: Path) -> None:
    lib = app.parent / "lib"
    lib.mkdir()
    (lib / "pyproject.toml").write_text('[project]\nname = "lib"\nversion = "1"\n')
    (lib / "lib.py").write_text("X = 1\n")
    write(
        app,
        '[project]\nname = "a"\nversion = "1"\ndependencies = ["lib"]\n'
        '[tool.uv.sources]\nlib = { path = "../lib", editable = true }\n',
    )
    one = key(app)
    assert key(app) == one
    (lib / "lib.py").write_text("X = 2\n")
    assert key(app) != one


@pytest.mark.parametrize(
    ("pyproject", "dynamic"),
    [
        ({"project": {"name": "a"}}, False),
        ({"project": {"name": "a", "dynamic": ["version"]}}, False),
        ({"project": {"name": "a", "dynamic": ["dependencies"]}}, True),
        ({"tool": {"poetry": {"name": "a"}}}, True),
        ({"build-system": {"requires": []}}, True),
        ({"tool": {"flwr": {}}}, False),
    ],
)
def test_only_dynamic_dependencies_need_the_back_end(pyproject: dict[str, object], dynamic: bool) -> None:
    assert is_dynamic(pyproject) is dynamic


def test_a_folder_without_a_readable_pyproject_is_no_app(app: Path) -> None:
    with pytest.raises(AppError, match="cannot be read"):
        key(app)
    with pytest.raises(AppError, match=r"not valid TOML.*line 1") as caught:
        key(write(app, "[project\n"))
    assert str(caught.value.where).endswith("pyproject.toml:1:9")


def test_an_app_for_another_python_is_refused(app: Path) -> None:
    write(app, '[project]\nname = "a"\nversion = "1"\nrequires-python = ">=3.50"\n')
    with pytest.raises(AppError, match=r"needs Python >=3\.50") as caught:
        key(app)
    assert caught.value.where == f"{app / 'pyproject.toml'}:4"


@pytest.mark.parametrize("wrong", ["scikit learn", "flwr<1.0", "lib @ file:./nowhere"])
def test_a_dependency_that_does_not_do_is_told_with_its_line(app: Path, wrong: str) -> None:
    write(app, f'[project]\nname = "a"\nversion = "1"\ndependencies = [\n    "numpy",\n    "{wrong}",\n]\n')
    with pytest.raises(UsageError) as caught:
        key(app)
    assert caught.value.where == f"{app / 'pyproject.toml'}:6"


def test_a_back_end_that_fails_is_quoted_and_the_app_is_named(app: Path) -> None:
    (app / "backend.py").write_text("def build_wheel(*_):\n    raise SystemExit('no water for this flower')\n")
    write(
        app,
        '[project]\nname = "a"\nversion = "1"\ndynamic = ["dependencies"]\n'
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
    )
    with pytest.raises(AppError, match="no water for this flower") as caught:
        key(app)
    assert caught.value.where == f"{app / 'pyproject.toml'}:7"


# --- Pythons ---------------------------------------------------------------------------------------------


def test_our_own_python_is_preferred_where_the_release_is_proven_on_it() -> None:
    ours = python.current()
    assert python.choose_python(["3.2", ours.minor]) == ours
    assert python.describe(Path(sys.executable)) == ours


def test_a_python_that_is_not_there_is_refused_with_what_there_is() -> None:
    with pytest.raises(EnvironmentFailed, match=r"no Python 3\.98 was found"):
        python.choose_python(["3.98", "3.99"])
    with pytest.raises(EnvironmentFailed, match=r"no Python 3\.99 was found .*found: .*3\.\d+\.\d+"):
        python.find_python("3.99")


def test_a_python_that_is_found_is_of_the_minor_that_was_asked_for() -> None:
    minor = python.current().minor
    assert python.describe(python.find_python(minor)).minor == minor


@pytest.mark.parametrize(
    ("requires", "version", "allowed"),
    [(">=3.11.5", "3.11", True), (">=3.11.5", "3.11.2", False), ("<3.11", "3.11", False), ("", "3.11", True)],
)
def test_requires_python(requires: str, version: str, allowed: bool) -> None:
    assert python.allows(requires, version) is allowed


# --- uv --------------------------------------------------------------------------------------------------


def test_pips_index_settings_count_where_uv_has_none(tmp_path: Path) -> None:
    environ = {
        "PIP_INDEX_URL": "https://mirror/simple",
        "PIP_FIND_LINKS": f"{tmp_path} /nowhere https://x/wheels",
        "VIRTUAL_ENV": "/v",
        "PYTHONPATH": "/p",
        "SSL_CERT_FILE": "/ca.pem",
    }
    got = uv.uv_environment(environ)
    assert got["UV_INDEX_URL"] == "https://mirror/simple"
    assert got["UV_FIND_LINKS"] == f"{tmp_path},https://x/wheels"
    assert got["SSL_CERT_FILE"] == "/ca.pem"
    assert got["UV_PYTHON_DOWNLOADS"] == "never"
    assert not {"VIRTUAL_ENV", "PYTHONPATH"} & set(got)


def test_uvs_own_settings_win() -> None:
    environ = {"PIP_INDEX_URL": "p", "UV_DEFAULT_INDEX": "u", "UV_PYTHON_DOWNLOADS": "automatic"}
    got = uv.uv_environment(environ)
    assert "UV_INDEX_URL" not in got
    assert (got["UV_DEFAULT_INDEX"], got["UV_PYTHON_DOWNLOADS"]) == ("u", "automatic")


def test_a_long_download_shows_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uv, "QUIET_SECONDS", 0.02)
    told: list[str] = []

    def progress(line: str) -> None:
        told.append(line)
        if "…" in line:
            (tmp_path / "go").touch()  # the child ends as soon as a sign of life was given

    script = (
        "import pathlib, sys, time\n"
        "print('Downloading torch (800.0MiB)', file=sys.stderr, flush=True)\n"
        "while not pathlib.Path('go').exists(): time.sleep(0.01)\n"
    )
    assert uv.run([sys.executable, "-c", script], cwd=tmp_path, progress=progress)[0] == 0
    assert told[0] == "Downloading torch (800.0MiB)"
    assert told[1].startswith("Downloading torch (800.0MiB) …")


@pytest.mark.parametrize(
    ("said", "meaning"),
    [
        ("error: x\n  cause: Hash mismatch for `tomli==2.5.0`", "hash mismatch"),
        ("error: x\n  cause: No space left on device (os error 28)", "no space left"),
        ("error: x\n  cause: tcp connect error\n  cause: Connection refused (os error 111)", "no network"),
        ("error: Failed to build `x==2`\n  error: command 'gcc' failed: No such file or directory", "needs a compiler"),
        ("error: Failed to build `x==2`\n  Exception: you need a C compiler to build x", "needs a compiler"),
        ("error: Failed to build `x==2`\n  ImportError: numpy", "cannot be built here"),
        ("error: x\n  cause: invalid peer certificate: UnknownIssuer", "not trusted"),
        ("error: x\n  cause: HTTP status client error (401 Unauthorized) for url (https://i/)", "refused access"),
        ("error: x\n  cause: Git operation failed\n  fatal: repository not found", "by git"),
    ],
)  # fmt: skip
def test_what_uv_says_is_said_in_plain_words_with_its_reason(said: str, meaning: str) -> None:
    error = explain(["warning: old", "Resolving", *said.splitlines()], doing="preparing Flower 1.22.0")
    assert meaning in error.message
    assert said.splitlines()[-1].strip() in error.message
    assert "warning" not in error.message
    assert error.hint


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("there is no version of numpy==99.0 and the-app depends on numpy==99.0, we can conclude that", 7),
        ("flwr>=1.42.0 depends on protobuf>=5 and the-app depends on protobuf<3, we", 8),
        ("the-app depends on numpy>=1.24 and numpy<1, we can conclude that", 7),
        ("only scikit-learn[x]<=1.9.1 is available and the-app depends on Scikit_learn[x]>=99, we", 5),
        ("a-package depends on another and the-app depends on flwr==1.42.0, we can conclude that", None),
        ("Because the-app depends on none-of-these, we can conclude that", None),
    ],
)
def test_what_has_no_solution_is_told_at_the_line_of_the_requirement_that_uv_names(
    app: Path, said: str, line: int | None
) -> None:
    file = app / "pyproject.toml"
    lines = ["[project]", 'name = "numpy"', 'version = "1"', "# protobuf", "dependencies = ['scikit_learn[x]>=99',"]
    lines += ['    "flwr>=1.22",', '    "numpy==99.0",', "    \"protobuf<3 ; python_version > '3.9'\",", "]"]
    write(app, "\n".join([*lines, "[tool.other]", 'none = "none-of-these"']))
    error = unsolved(["error: No solution found", f"  cause: Because {said}"], doing="x", where=str(file))
    assert error.where == (f"{file}:{line}" if line else str(file))
    assert "cannot be solved" in error.message
    assert unsolved([f"  cause: Because {said}"], doing="x", where="nowhere/pyproject.toml").where


def test_no_credentials_are_shown() -> None:
    error = explain(["error: Failed to fetch: `https://me:secret@index/simple/`"], doing="x")
    assert "secret" not in str(error)
    assert "https://***@index/simple/" in str(error)


def test_the_cache_folder_is_where_the_user_says() -> None:
    assert cache_root({"FLOWERBED_CACHE_DIR": "/c", "XDG_CACHE_HOME": "/x"}) == Path("/c")
    assert cache_root({"XDG_CACHE_HOME": "/x"}) == Path("/x/flowerbed")
    assert cache_root({"XDG_CACHE_HOME": "relative"}) == Path.home() / ".cache/flowerbed"
