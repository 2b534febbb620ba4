"""Environments with one exact Flower release and nothing else, for tests that ask the release itself."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from uv import find_uv_bin

EVERYDAY = ("1.22", "1.31", "1.41")
"""The minor releases that `make test` covers: the oldest, one in the middle, the newest."""


def environment_python(release: str) -> Path:
    """Return the Python of an environment with that exact release; it is built if there is none yet."""
    root = Path(os.environ.get("FLOWERBED_CACHE_DIR") or Path.home() / ".cache" / "flowerbed") / "tests"
    name = f"flwr-{release}-py{sys.version_info.major}.{sys.version_info.minor}"
    ready = root / name
    root.mkdir(parents=True, exist_ok=True)
    with (root / f".{name}.lock").open("w") as lock:  # two test runs at once build it once
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists():
            building = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=root))
            try:
                # Programs of an environment that moves must find their Python by themselves: hence relocatable.
                _uv("venv", "--relocatable", "--python", sys.executable, str(building / "env"))
                _uv("pip", "install", "--python", str(building / "env"), f"flwr=={release}")
                (building / "env").rename(ready)
            finally:
                shutil.rmtree(building, ignore_errors=True)
    return ready / "bin" / "python"


def flower_process_environment(home: Path) -> dict[str, str]:
    """Return what a program of Flower's gets in a test: a home of its own, and no talking to the internet."""
    return {
        "PATH": os.defpath,
        "HOME": str(home),
        "FLWR_HOME": str(home),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "COLUMNS": "200",
    }


def _uv(*arguments: str) -> None:
    done = subprocess.run([find_uv_bin(), "--quiet", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"uv {' '.join(arguments)}: {done.stderr}")
