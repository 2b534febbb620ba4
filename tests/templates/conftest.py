"""Pythons that can run the templates' apps."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from uv import find_uv_bin

from flowerbed import templates
from flowerbed.environments.asking import request
from flowerbed.environments.environment import ensure
from flowerbed.environments.python import current
from flowerbed.flower.releases import RELEASES, Row

DEBIAN_PYTHON = Path("/usr/bin/python3")
"""The one that Debian's python3-torch belongs to; PyPI's torch is a CUDA build of 3 GB."""

NewApp = Callable[[str], Path]


@pytest.fixture
def new_app(tmp_path: Path) -> NewApp:
    """Return a function that writes an app of a template and returns its folder."""

    def write(template: str) -> Path:
        templates.write(template, tmp_path / template, "ward-digits")
        return tmp_path / template

    return write


@pytest.fixture
def sklearn_python(row: Row, tmp_path: Path) -> Path:
    """Return the Python of the environment that Flowerbed itself makes for the scikit-learn app."""
    return _sklearn_python(row, tmp_path)


@pytest.fixture
def newest_sklearn_python(tmp_path: Path) -> Path:
    """Return the same for the newest release, for what no release of Flower has a say in."""
    return _sklearn_python(RELEASES[-1], tmp_path)


def _sklearn_python(row: Row, folder: Path) -> Path:
    templates.write("sklearn", folder / "asks", "asks")
    return ensure(request(folder / "asks", release=str(row.release), python=current())).python


@pytest.fixture(scope="session")
def debian_numpy() -> int:
    """Return the major version of Debian's NumPy; skip where Debian's torch and scikit-learn are not."""
    ask = [str(DEBIAN_PYTHON), "-c", "import numpy, sklearn, torch; print(numpy.__version__)"]
    try:
        asked = subprocess.run(ask, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip(f"there is no {DEBIAN_PYTHON}, so no Debian python3-torch to test the PyTorch app with")
    if asked.returncode:
        pytest.skip("the PyTorch app is tested with Debian's packages: apt-get install python3-torch python3-sklearn")
    return int(asked.stdout.split(".")[0])


@pytest.fixture
def torch_python(row: Row, debian_numpy: int, tmp_path: Path) -> Path:
    """Return a Python with Debian's torch and scikit-learn, and the release's flwr."""
    # Debian's torch was compiled for its own major version of NumPy; flwr may want a newer minor one.
    _uv("venv", "--system-site-packages", "--python", str(DEBIAN_PYTHON), str(tmp_path / "torch"))
    _uv("pip", "install", "--python", str(tmp_path / "torch"), f"flwr=={row.release}", f"numpy<{debian_numpy + 1}")
    return tmp_path / "torch" / "bin" / "python"


def _uv(*arguments: str) -> None:
    done = subprocess.run([find_uv_bin(), "--quiet", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
