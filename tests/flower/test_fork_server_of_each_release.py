"""A fork server can be had of each release: what it imports of Flower starts no thread and opens nothing."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from environments import environment_python, flower_process_environment
from flowerbed.flower.releases import Row
from flowerbed_inside import bundles
from flowerbed_inside.launch.execution import WARM, last_said

pytestmark = pytest.mark.timeout(600)  # the first run on a machine installs Flower

AS_A_SUPEREXEC = """
import importlib, json, subprocess, sys
sys.path.insert(0, sys.argv[1])
import flowerbed_inside
del sys.path[0]
from importlib.metadata import distribution
[program] = [one for one in distribution("flwr").entry_points if one.name == "flower-superexec"]
program.load()
from flowerbed_inside.launch import warm
warm.take()
from flowerbed_inside.launch import fork_server
forked = [subprocess.Popen.__module__ == fork_server.__name__]
print(json.dumps([subprocess.Popen([name, "--help"]).wait() for name in ("flwr-clientapp", "flwr-serverapp")] + forked))
"""


def test_programs_of_apps_are_those_of_the_release(row: Row, tmp_path: Path) -> None:
    python = environment_python(str(row.release))
    launchers = python.parents[1] / "flowerbed" / "bin"
    environment = flower_process_environment(tmp_path)
    environment["PATH"] = f"{launchers}{os.pathsep}{os.defpath}"
    done = subprocess.run(
        [str(python), "-c", AS_A_SUPEREXEC, str(bundles.PACKAGE.parent), "x" * 100],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    *helped, told = done.stdout.strip().splitlines()
    said = last_said(done.stderr)
    assert said is not None
    assert said.mode == WARM, said
    assert json.loads(told) == [0, 0, True]
    assert [line.split()[1] for line in helped if line.startswith("usage:")] == ["flwr-clientapp", "flwr-serverapp"]
