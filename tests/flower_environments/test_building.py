"""Real environments: real uv, the real package index, real processes that are killed."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flowerbed.environments.asking import request
from flowerbed.environments.environment import ensure, environments_root, hold, load
from flowerbed.environments.model import Environment, EnvironmentRequest
from flowerbed.environments.pruning import list_environments, prune
from flowerbed.environments.python import current
from flowerbed.errors import AppError, EnvironmentFailed, ReleaseError

ONE_LINE = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "my-app"
version = "1.0.0"
dependencies = ["flwr[simulation]>=1.22.0", "tomlkit>=0.12"]
"""
LAUNCHER = "import sys\nprint('launched by', sys.prefix, *sys.argv[1:])\n"


def make_app(folder: Path, pyproject: str = ONE_LINE, **files: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(pyproject)
    (folder / "my_app").mkdir()
    (folder / "my_app" / "__init__.py").write_text("")
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def fingerprint(folder: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        total.update(f"{path.relative_to(folder)} {path.stat().st_mtime_ns} ".encode())
        total.update(path.read_bytes() if path.is_file() else b"")
    return total.hexdigest()


def until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    while not condition():
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)


def ask(app: Path, **kwargs: object) -> EnvironmentRequest:
    return request(app, release="1.22.0", python=current(), **kwargs)  # type: ignore[arg-type]


def builder(app: Path) -> subprocess.Popen[str]:
    """Start a process of its own that makes sure of an app's environment and prints its progress."""
    script = (
        "import sys; from pathlib import Path\n"
        "from flowerbed.environments.asking import request; from flowerbed.environments.environment import ensure\n"
        "from flowerbed.environments.python import current\n"
        "say = lambda line: print(line, flush=True)\n"
        "wanted = request(Path(sys.argv[1]), release='1.22.0', python=current())\n"
        "say(f'at {ensure(wanted, say).path}')\n"
    )
    return subprocess.Popen([sys.executable, "-c", script, str(app)], stdout=subprocess.PIPE, text=True)


def building(wanted: EnvironmentRequest) -> list[Path]:
    return list(environments_root().glob(f"{wanted.name}.building-*"))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache for each test."""
    monkeypatch.setenv("FLOWERBED_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def no_uv(tmp_path: Path) -> Iterator[Callable[[], None]]:
    """Return a function after whose call any use of uv fails."""
    with pytest.MonkeyPatch.context() as patch:
        yield lambda: patch.setenv("FLOWERBED_UV", str(tmp_path / "no-such-uv"))


def test_an_environment_from_nothing(tmp_path: Path, cache: Path, no_uv: Callable[[], None]) -> None:
    """One long story, as building takes seconds: what is in it, that it is found again, that nothing else changed."""
    (tmp_path / "pyproject.toml").write_text('[tool.uv.workspace]\nmembers = ["my app", "little", "least"]\n')
    asks = ONE_LINE.replace('"tomlkit', '"little", "tomlkit')
    app = make_app(tmp_path / "my app", f"{asks}[tool.uv.sources]\nlittle = {{workspace = true}}\n")
    make_app(
        tmp_path / "least",
        '[build-system]\nrequires = ["setuptools"]\n[project]\nname = "least"\nversion = "3"\n'
        '[tool.setuptools]\npy-modules = ["least"]\n',
        **{"least.py": "Y = 3\n"},
    )
    little = make_app(
        tmp_path / "little",
        '[build-system]\nrequires = ["setuptools"]\n[project]\nname = "little"\nversion = "7"\n'
        'dependencies = ["least"]\n[tool.setuptools]\npy-modules = ["little"]\n'
        "[tool.uv.sources]\nleast = {workspace = true}\n",
        **{"little.py": "from least import Y\nX = Y + 4\n"},
    )
    launcher = tmp_path / "launcher.py"
    launcher.write_text(LAUNCHER)
    before = fingerprint(app), fingerprint(little)
    told: list[str] = []
    wanted = ask(app, launchers={"flwr-serverapp": launcher})
    environment = ensure(wanted, told.append)
    launcher.unlink()

    # It is where its key says, complete, and nothing of the build is left.
    assert environment.path == cache / "environments" / f"1.22.0-{wanted.key[:12]}"
    assert building(wanted) == []
    assert "flwr==1.22.0" in environment.packages
    assert "little==7" in environment.packages
    assert not [name for name in environment.packages if name.startswith(("ray==", "my-app"))]
    assert told[0].startswith("preparing Flower 1.22.0")
    assert told[-1].startswith("Flower 1.22.0 is ready")

    # Renaming broke no script, and what is imported is compiled.
    usage = subprocess.run(
        [environment.bin / "flower-superlink", "--help"], check=True, capture_output=True, text=True
    ).stdout
    assert "--fleet-api-address" in usage
    found = [str(environment.python), "-B", "-c", "import flwr, little; print(flwr.__cached__, little.X)"]
    compiled, value = subprocess.run(found, check=True, capture_output=True, text=True).stdout.split()
    assert Path(compiled).is_file()
    assert value == "7"
    scripts = [path.read_bytes() for path in environment.bin.iterdir() if path.is_file()]
    assert not [text for text in scripts if b".building-" in text and not text.startswith(b"\x7fELF")]

    # Our launcher is in it, works wherever it is started from, and knows its environment.
    path = {"PATH": f"{environment.launcher_bin}:{environment.bin}:{os.environ['PATH']}"}
    said = subprocess.run(
        ["/bin/sh", "-c", "flwr-serverapp 'a b'"], check=True, capture_output=True, text=True, env=path
    )
    assert said.stdout == f"launched by {environment.path} a b\n"

    # A second time needs neither uv nor the launcher's original, and says when it was used.
    stamp = environment.path / "last-used"
    os.utime(stamp, (0, 0))
    no_uv()
    told.clear()
    assert ensure(wanted, told.append) == environment
    assert told == []
    assert stamp.stat().st_mtime > 0
    assert (fingerprint(app), fingerprint(little)) == before

    # Nothing says where packages came from, and a Python that went away makes it unusable, not half used.
    assert not list(environment.path.glob("**/pylock.toml"))
    environment.python.unlink()
    assert load(environment.path) is None
    with pytest.raises(EnvironmentFailed, match="FLOWERBED_UV"):
        ensure(wanted)


def test_a_killed_build_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    app = make_app(tmp_path / "app")
    wanted = ask(app)
    with builder(app) as process:
        until(lambda: any((folder / "lib").exists() for folder in building(wanted)), process)
        process.send_signal(signal.SIGKILL)
    [left] = building(wanted)
    assert load(environments_root() / wanted.name) is None
    assert [item.environment for item in list_environments()] == [None]

    environment = ensure(wanted)
    assert not left.exists()
    subprocess.run([environment.bin / "flwr", "--version"], check=True)


def test_of_two_builders_one_builds_and_the_other_waits(tmp_path: Path) -> None:
    app = make_app(tmp_path / "app")
    wanted = ask(app)
    with builder(app) as first:
        until(lambda: bool(building(wanted)), first)
        assert prune(everything=True) == []  # what is being built is not in anyone's way
        with builder(app) as second:
            second_said = second.communicate()[0].splitlines()
        first_said = first.communicate()[0].splitlines()
    assert any(line.startswith("installing") for line in first_said)
    assert "waiting" in second_said[0]
    assert second_said[1:] == [first_said[-1]]
    assert [item.path.name for item in list_environments()] == [wanted.name]


@pytest.mark.parametrize(
    ("requirement", "reason", "line"),
    [
        ("cryptography>=46", "flwr==1.22.0 depends on cryptography>=44.0.1,<45.0.0", ":7"),
        ("tomlkit>=0.12,<0.1", "tomlkit", ":7"),
        ("little @ git+file:///nowhere/at/all", "git", ""),
    ],
)
def test_a_dependency_that_cannot_be_had_is_explained(tmp_path: Path, requirement: str, reason: str, line: str) -> None:
    app = make_app(tmp_path / "app", ONE_LINE.replace("tomlkit>=0.12", requirement))
    with pytest.raises(EnvironmentFailed) as caught:
        ensure(ask(app))
    assert reason in caught.value.message
    assert caught.value.where == f"{app / 'pyproject.toml'}{line}"
    assert caught.value.hint
    assert list_environments() == []


def test_without_a_network_the_error_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with pytest.raises(EnvironmentFailed, match="there is no network") as caught:
        ensure(ask(make_app(tmp_path / "app")))
    assert "UV_DEFAULT_INDEX" in str(caught.value.hint)


def test_a_solve_that_gives_another_flwr_is_never_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "uv").mkdir()
    (tmp_path / "uv" / "uv.toml").write_text('override-dependencies = ["flwr==1.23.0"]\n')
    with pytest.raises(EnvironmentFailed, match=r"1\.22\.0 was asked for, and the solve gave flwr 1\.23\.0"):
        ensure(ask(make_app(tmp_path / "app")))
    assert list_environments() == []


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("FLOWERBED_CACHE_DIR", str(tmp_path / "file" / "cache"))
    with pytest.raises(EnvironmentFailed, match="cannot be used") as caught:
        ensure(ask(make_app(tmp_path / "app")))
    assert "FLOWERBED_CACHE_DIR" in str(caught.value.hint)


# --- dependencies that only a build back end knows --------------------------------------------------------

SETUPTOOLS = """\
[build-system]
requires = ["setuptools>=61"]
build-backend = "setuptools.build_meta"
[project]
name = "my-app"
version = "1.0.0"
dynamic = ["dependencies", "optional-dependencies"]
[tool.setuptools]
packages = ["my_app"]
[tool.setuptools.dynamic]
dependencies = { file = ["requirements.txt"] }
optional-dependencies = { dev = { file = ["dev.txt"] } }
"""
POETRY = """\
[build-system]
requires = ["poetry-core"]
build-backend = "poetry.core.masonry.api"
[tool.poetry]
name = "my-app"
version = "1.0.0"
description = ""
authors = []
[tool.poetry.dependencies]
python = ">=3.11"
flwr = { version = "^1.22", extras = ["simulation"] }
tomlkit = "^0.13"
"""
OWN = """\
[build-system]
requires = []
build-backend = "own"
backend-path = ["."]
[project]
name = "my-app"
version = "1.0.0"
dynamic = ["dependencies"]
"""
OWN_BACK_END = """\
import zipfile
def build_wheel(folder, settings=None, metadata=None):
    open("written-by-the-back-end", "w").close()
    with zipfile.ZipFile(folder + "/my_app-1-py3-none-any.whl", "w") as wheel:
        text = "Metadata-Version: 2.1\\nName: my-app\\nRequires-Dist: tomlkit (>=0.12)\\n"
        wheel.writestr("my_app-1.dist-info/METADATA", text)
    return "my_app-1-py3-none-any.whl"
"""


def test_setuptools_with_dependencies_in_a_file(tmp_path: Path, no_uv: Callable[[], None]) -> None:
    files = {"requirements.txt": "flwr[simulation]>=1.22\ntomlkit>=0.12\n", "dev.txt": "pytest\n"}
    app = make_app(tmp_path / "app", SETUPTOOLS, **files)
    before = fingerprint(app)
    wanted = ask(app)
    assert wanted.requirements == ("tomlkit>=0.12",)
    assert fingerprint(app) == before

    # The same again, and after a change of the app's own code, asks nobody; a changed list does.
    no_uv()
    (app / "my_app" / "__init__.py").write_text("changed = True\n")
    assert ask(app) == wanted
    (app / "requirements.txt").write_text("tomlkit>=0.13\n")
    with pytest.raises(EnvironmentFailed, match="FLOWERBED_UV"):
        ask(app)


def test_poetry(tmp_path: Path) -> None:
    assert ask(make_app(tmp_path / "app", POETRY)).requirements == ("tomlkit<0.14,>=0.13",)
    with pytest.raises(ReleaseError, match="flwr<2"):
        request(make_app(tmp_path / "b", POETRY.replace("^1.22", "^1.30")), release="1.22.0", python=current())


def test_a_back_end_in_the_apps_own_folder(tmp_path: Path) -> None:
    app = make_app(tmp_path / "app", OWN, **{"own.py": OWN_BACK_END})
    before = fingerprint(app)
    assert ask(app).requirements == ("tomlkit>=0.12",)
    assert fingerprint(app) == before


def test_a_back_end_that_cannot_be_installed_is_explained(tmp_path: Path) -> None:
    app = make_app(tmp_path / "app", OWN.replace("requires = []", 'requires = ["tomlkit<0.1,>0.2"]'))
    with pytest.raises(EnvironmentFailed, match=r"installing the app's build back end failed"):
        ask(app)


def test_an_app_that_contradicts_the_release_is_refused_before_anything_is_built(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(ReleaseError, match=r"flwr==1\.23\.0.*1\.22\.0"):
        ask(make_app(tmp_path / "app", ONE_LINE.replace("[simulation]>=1.22.0", "==1.23.0")))
    assert not cache.exists()


def test_a_package_that_cannot_be_read_is_an_error_of_the_app(tmp_path: Path) -> None:
    with pytest.raises(AppError, match="cannot be read"):
        ask(make_app(tmp_path / "app", ONE_LINE.replace("tomlkit>=0.12", "tomlkit=>0.12")))


# --- listing and removing ---------------------------------------------------------------------------------


def pretend(name: str, *, used: float) -> Environment:
    """Put a folder with a manifest into the cache; nothing here starts its Python."""
    folder = environments_root() / name
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(sys.executable)
    (folder / ".in-use").touch()
    manifest = {
        "format": 1,
        "key": name,
        "flwr": "1.22.0",
        "python": "3.11.7",
        "packages": [],
        "asked": {"requirements": []},
    }
    (folder / "flowerbed-environment.json").write_text(json.dumps(manifest))
    (folder / "last-used").write_bytes(b"")
    os.utime(folder / "last-used", (used, used))
    found = load(folder)
    assert found is not None
    return found


def names(items: list[object]) -> set[str]:
    return {item.path.name for item in items}  # type: ignore[attr-defined]


def test_prune_removes_what_is_old_and_broken_and_never_what_is_in_use() -> None:
    now = time.time()
    pretend("old", used=now - 10_000)
    pretend("new", used=now)
    used = pretend("used", used=now - 10_000)
    (environments_root() / "broken").mkdir()
    (environments_root() / "new.building-1-2").mkdir()
    with hold(used.path):
        assert {item.path.name: item.in_use for item in list_environments()} == {
            "old": False, "new": False, "used": True, "broken": False, "new.building-1-2": False,
        }  # fmt: skip
        gone = {"old", "broken", "new.building-1-2"}
        assert names([*prune(older_than=5_000, dry_run=True)]) == gone
        assert len(list_environments()) == 5
        assert names([*prune(older_than=5_000)]) == gone
        assert names([*prune(everything=True)]) == {"new"}
        assert names([*list_environments()]) == {"used"}
    assert names([*prune(everything=True)]) == {"used"}
    with pytest.raises(EnvironmentFailed, match="was removed"):
        hold(used.path)


def test_a_holder_that_dies_holds_nothing() -> None:
    environment = pretend("held", used=time.time())
    script = (
        "import sys; from pathlib import Path; from flowerbed.environments.environment import hold\n"
        "held = hold(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", script, str(environment.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert prune(everything=True) == []
        process.kill()
    assert names([*prune(everything=True)]) == {"held"}
