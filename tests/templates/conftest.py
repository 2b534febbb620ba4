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
from flowerbed.flower.releases import Row

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
    templates.write("sklearn", tmp_path / "asks", "asks")
    return ensure(request(tmp_path / "asks", release=str(row.release), python=current())).python


@pytest.fixture
def torch_python(row: Row, tmp_path: Path) -> Path:
    """Return a Python with Debian's torch and scikit-learn, and the release's flwr; skip where they are not."""
    ask = [str(DEBIAN_PYTHON), "-c", "import numpy, sklearn, torch; print(numpy.__version__)"]
    try:
        asked = subprocess.run(ask, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip(f"there is no {DEBIAN_PYTHON}, so no Debian python3-torch to test the PyTorch app with")
    if asked.returncode:
        pytest.skip("the PyTorch app is tested with Debian's packages: apt-get install python3-torch python3-sklearn")
    # Debian's torch was compiled for its own major version of NumPy; flwr may want a newer minor one.
    numpy = f"numpy<{int(asked.stdout.split('.')[0]) + 1}"
    _uv("venv", "--system-site-packages", "--python", str(DEBIAN_PYTHON), str(tmp_path / "torch"))
    _uv("pip", "install", "--python", str(tmp_path / "torch"), f"flwr=={row.release}", numpy)
    return tmp_path / "torch" / "bin" / "python"


def _uv(*arguments: str) -> None:
    done = subprocess.run([find_uv_bin(), "--quiet", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
