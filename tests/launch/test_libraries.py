"""A fork server imports what an app needs, whatever the program is under whose name it began."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import flowerbed_inside
from environments import environment_python, flower_process_environment
from flowerbed.flower.releases import DEFAULT

pytestmark = pytest.mark.timeout(600)  # the first run on a machine installs Flower

PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from flowerbed_inside.launch import libraries
del sys.path[0]
assert "multiprocessing" not in sys.modules
loaded = libraries.load(["uvicorn"], lambda: "")
print("uvicorn" in loaded, "__mp_main__" in sys.modules)
"""


def test_a_library_that_imports_multiprocessing_is_loaded(tmp_path: Path) -> None:
    """That gives the program's own module a second name, and the program is not the environment's."""
    program = tmp_path / "flower-superexec.py"
    program.write_text(PROGRAM)
    done = subprocess.run(
        [environment_python(str(DEFAULT.release)), program, Path(flowerbed_inside.__file__).parents[1]],
        env=flower_process_environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.stdout.strip() == "True True", done.stderr
