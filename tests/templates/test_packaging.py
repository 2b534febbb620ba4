"""What is packed: the templates into Flowerbed's wheel, a new app into Flower's bundle."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from environments import environment_python, flower_process_environment
from flowerbed import templates
from flowerbed.flower.releases import Row

REPOSITORY = Path(__file__).parents[2]
TEST_APPS = sorted(path.parent for path in (REPOSITORY / "tests" / "apps").glob("*/pyproject.toml"))
EVERY_TEMPLATE = pytest.mark.parametrize("template", templates.names())

BUNDLE = """
import sys
from pathlib import Path
try:
    from flwr.cli.build import build_fab_from_disk as build
except ImportError:
    from flwr.cli.build import build_fab as build
result = build(Path(sys.argv[1]))
sys.stdout.buffer.write(result if isinstance(result, bytes) else result[0])
"""


def bundle(row: Row, app: Path, home: Path) -> set[str]:
    """Return the names of the files in the bundle that the release makes of an app."""
    done = subprocess.run(
        [str(environment_python(str(row.release))), "-c", BUNDLE, str(app)],
        env=flower_process_environment(home),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return set(zipfile.ZipFile(io.BytesIO(done.stdout)).namelist())


def python_files(app: Path) -> set[str]:
    return {str(path.relative_to(app)) for path in app.rglob("*.py")}


def test_the_wheel_has_every_file_of_the_templates(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)],
        cwd=REPOSITORY,
        capture_output=True,
        check=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    source = REPOSITORY / "src"
    expected = {
        str(path.relative_to(source))
        for path in (source / "flowerbed" / "templates").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("flowerbed/templates/")}
    assert "flowerbed/templates/sklearn/gitignore" in expected
    assert packed == expected


def test_what_installers_compile_beside_the_templates_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "installed"
    subprocess.run(["cp", "-r", str(Path(templates.__file__).parent), str(installed)], check=True)
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(installed)], check=True)
    assert list(installed.rglob("*.pyc"))
    monkeypatch.setattr(templates, "_FOLDER", installed)
    written = templates.write("sklearn", tmp_path / "app", "app")
    assert not [path for path in written if "__pycache__" in path.parts]


@EVERY_TEMPLATE
def test_a_bundle_has_the_app_and_nothing_of_flowerbeds_state(
    row: Row, template: str, new_app: Callable[[str], Path], tmp_path: Path
) -> None:
    app = new_app(template)
    expected = python_files(app) | {"README.md", "pyproject.toml", ".info/CONTENT"}
    for state in (".flowerbed/homes/site-0/app.py", ".flowerbed/plan.json", ".flowerbed/README.md"):
        (app / state).parent.mkdir(parents=True, exist_ok=True)
        (app / state).write_text("")
    names = bundle(row, app, tmp_path)
    assert names - {"federation.yaml"} == expected  # newer releases pack YAML files too
    assert len(python_files(app)) == 5  # the state's was there to be packed


@pytest.mark.parametrize("app", TEST_APPS, ids=lambda app: app.name)
def test_each_release_bundles_the_apps_of_the_tests(row: Row, app: Path, tmp_path: Path) -> None:
    assert bundle(row, app, tmp_path) == python_files(app) | {"pyproject.toml", ".info/CONTENT"}


@EVERY_TEMPLATE
def test_a_new_app_compiles_and_is_clean_to_a_linter(template: str, new_app: Callable[[str], Path]) -> None:
    app = new_app(template)
    for tool in (["ruff", "check", "--isolated"], ["compileall", "-q"]):
        done = subprocess.run(
            [sys.executable, "-m", *tool, str(app)], capture_output=True, text=True, check=False, cwd=app
        )
        assert done.returncode == 0, done.stdout + done.stderr


@EVERY_TEMPLATE
def test_a_new_apps_own_wheel_can_be_built(template: str, new_app: Callable[[str], Path], tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path / "dist")],
        cwd=new_app(template),
        capture_output=True,
        check=True,
    )
    (wheel,) = (tmp_path / "dist").glob("ward_digits-1.0.0-*.whl")
    assert "ward_digits/client_app.py" in zipfile.ZipFile(wheel).namelist()
