"""Checking an app in its environment before anything starts: its FAB is built, its apps are imported."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from flowerbed.environments.cache import write_durably
from flowerbed.environments.model import Environment
from flowerbed.errors import AppError
from flowerbed.flower.checked import explain
from flowerbed.local.plan import common_environment
from flowerbed.local.source import Progress, Source, content_hash, staged
from flowerbed_inside import bundles

CHECK_SECONDS = 300.0


def check(source: Source, environment: Environment, progress: Progress) -> None:
    """Check the app unless this very app has passed in this very environment before.

    Raises
    ------
    AppError
        With the traceback of the ServerApp's or ClientApp's import, or why no FAB can be built.
    """
    passed = source.folder.root / "checked"
    with staged(source) as app:
        key = content_hash(app, environment.key)
        libraries = source.folder.libraries
        if passed.exists() and passed.read_text(encoding="utf-8") == key and libraries.exists():
            return
        progress("checking that the ServerApp and the ClientApp can be imported")
        answer = _run_check(app, source, environment)
        explain(answer, source.app)
    write_durably(libraries, json.dumps(answer["libraries"]))
    passed.write_text(key, encoding="utf-8")


def _run_check(app: Path, source: Source, environment: Environment) -> dict[str, Any]:
    env = common_environment(source.folder, [environment.launcher_bin, environment.bin])
    home = source.folder.home("check")
    home.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(
            [
                *(str(environment.python), str(bundles.PACKAGE), bundles.CHECK),
                *(str(app), "--named", str(source.app.resolve())),
            ],
            capture_output=True,
            text=True,
            env=env | {"FLWR_HOME": str(home), "FLWR_TELEMETRY_ENABLED": "0"},
            cwd=home,
            timeout=CHECK_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise AppError(
            f"the app did not finish importing within {CHECK_SECONDS:g} s",
            where=str(source.app),
            hint="Move work that takes long from the module's top level into the app's functions.",
        ) from None
    try:
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        raise AppError(
            f"importing the app ended its process with status {done.returncode}",
            where=str(source.app),
            hint="\n".join(done.stderr.splitlines()[-20:]) or None,
        ) from None
    return answer
