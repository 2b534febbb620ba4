"""What an app is told about a module that is not there: by its folder, and not by the exception alone."""

# ruff: noqa: E501 (tables have one case on a line)

from __future__ import annotations

from pathlib import Path

import pytest

from flowerbed.flower.missing import Packing, hint_for, surely_missing
from flowerbed.image.app_files import packing

FAB = Packing(
    "FAB", ("pyproject.toml", "tiny/__init__.py", "tiny/server.py"), patterns={"Flower": ["lib/**", "**/test_*.py"]}
)
PYPROJECT = '[tool.flwr.app]\nfab-exclude = ["/tiny/ex*.py"]\nfab-include = ["tiny/**"]\n'


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """Return the folder of an app of which a FAB leaves out much."""
    for path in (
        *(
            "tiny/__init__.py",
            "tiny/server.py",
            "tiny/data.py",
            "tiny/test_model.py",
            "tiny/extra.py",
            "other/__init__.py",
        ),
        *("lib/model.py", "src/inner/__init__.py", "src/inner/deep.py", "helpers/tools.py", "tiny/fast.cpython-311.so"),
        *("node_modules/web.py", "dist/made.py", "outside/far.py", "email/__init__.py"),
    ):
        (tmp_path / "app" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "app" / path).write_text("")
    app = tmp_path / "app"
    (app / "linked").symlink_to("../elsewhere")
    (app / "also.py").symlink_to("outside/far.py")
    (app / ".gitignore").write_text("# data sets\ndata*\n!data.csv\n*.log\n")
    (app / "pyproject.toml").write_text(PYPROJECT)
    return app


@pytest.mark.parametrize(
    ("module", "hint"),
    [
        ("tiny.data", "tiny/data.py is in the app's folder and not in the FAB: .gitignore, line 2, `data*`, leaves it out. Change that line, or write `!tiny/data.py` below it."),
        ("tiny.test_model", "tiny/test_model.py is in the app's folder and not in the FAB: Flower leaves out `**/test_*.py`. Give the file or its folder another name."),
        ("lib.model", "lib/model.py is in the app's folder and not in the FAB: Flower leaves out `lib/**`. Give the file or its folder another name."),
        ("tiny.extra", "tiny/extra.py is in the app's folder and not in the FAB: fab-exclude of [tool.flwr.app] in pyproject.toml leaves it out. Change that list."),
        ("other", "other/__init__.py is in the app's folder and not in the FAB: fab-include of [tool.flwr.app] in pyproject.toml does not name it. Change that list."),
        ("also", "also.py is in the app's folder and not in the FAB: also.py is a link, to outside/far.py. Copy what it points to in its place."),
        ("tiny.fast", "tiny/fast.cpython-311.so is in the app's folder and not in the FAB: Flower packs no compiled modules. Make a package of it that the app depends on."),
        ("inner.deep", "'inner.deep' is in src/, and Flower imports from the app's folder itself. Move src/inner beside pyproject.toml."),
        ("tools", "'tools' is in helpers/, and Flower imports from the app's folder itself. Import it as 'helpers.tools', or move helpers/tools beside pyproject.toml."),
        ("data", "'data' is in tiny/, and Flower imports from the app's folder itself. Import it as 'tiny.data', or move tiny/data beside pyproject.toml."),
        ("tiny.nothing", "The app's own 'tiny' has no such module: there is neither tiny/nothing.py nor tiny/nothing/__init__.py."),
        ("tiny.server", "tiny/server.py is in the FAB, and another 'tiny' hides it. Rename it."),
        ("distutils.util", "Python 3.12 and newer have no 'distutils'. Choose an older one with spec.python, or do without it."),
        ("torch.nn", "Add the package with the module 'torch.nn' to the app's dependencies in pyproject.toml."),
    ],
)  # fmt: skip
def test_what_is_said(app: Path, module: str, hint: str) -> None:
    assert hint_for(app, module, FAB) == hint


def test_a_link_that_leaves_the_folder_is_named_though_nothing_can_be_read_behind_it(app: Path) -> None:
    (app.parent / "elsewhere").mkdir()
    (app.parent / "elsewhere" / "__init__.py").write_text("")
    assert "linked is a link, to ../elsewhere. Copy" in hint_for(app, "linked", FAB)


def test_a_package_in_another_version_is_told_from_one_that_nobody_asked_for(app: Path) -> None:
    assert hint_for(app, "numpy.old", FAB, "numpy").startswith("The package with 'numpy' is installed, in a version")


def test_an_image_has_rules_of_its_own_and_no_gitignore(app: Path) -> None:
    (app / ".flowerbedignore").write_text("/tiny/data.py\n")
    (app / "pyproject.toml").write_text("")
    assert "not in the image: .flowerbedignore, line 1, `/tiny/data.py`, leaves it out. Change that line." in hint_for(
        app, "tiny.data", packing()
    )
    assert "Flowerbed leaves out `/dist/`" in hint_for(app, "dist.made", packing())


@pytest.mark.parametrize(
    ("module", "why"),
    [
        (
            "tiny.servr",
            "The app's own 'tiny' has no such module: there is neither tiny/servr.py nor tiny/servr/__init__.py.",
        ),
        ("tiny.data", ".gitignore, line 2, `data*`, leaves it out."),
        ("tiny.server", ""),
        ("tiny", ""),
        ("inner.nothing", ""),  # in src/
        ("helpers.nothing", ""),  # a folder that is no package: one of that name may be installed
        ("installed.server", ""),
    ],
)
def test_only_what_the_folder_alone_decides_is_surely_missing(app: Path, module: str, why: str) -> None:
    said = surely_missing(app, module)
    assert (why in said) if why else said == ""
