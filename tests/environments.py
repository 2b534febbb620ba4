"""Environments with one exact Flower release and nothing else, for tests that ask the release itself."""

from __future__ import annotations

import os
from pathlib import Path

from flowerbed.environments.asking import request
from flowerbed.environments.environment import ensure
from flowerbed.environments.python import choose_python
from flowerbed.flower.releases import find
from flowerbed_inside import bundles

EVERYDAY = ("1.22", "1.31", "1.42")
"""The minor releases that `make test` covers: the oldest, one in the middle, the newest."""


def environment_python(release: str) -> Path:
    """Return the Python of an environment with that exact release and nothing else in it but what Flower needs."""
    python = choose_python(find(release).pythons)
    launchers, modules = bundles.launchers(), bundles.bundle(bundles.LAUNCH)  # as `up` has them: the same environment
    return ensure(request(None, release=release, python=python, launchers=launchers, modules=modules)).python


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
