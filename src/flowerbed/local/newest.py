"""Which patch is the newest of a minor release, as the user's package index has it."""

from __future__ import annotations

import datetime
import hashlib
import json
import os

from flowerbed.errors import EnvironmentFailed, ReleaseError
from flowerbed.flower.release import Minor, Release, parse
from flowerbed.local.cache import Progress, cache_root, scratch, silent, writable, write_durably
from flowerbed.local.python import Interpreter
from flowerbed.local.solving import solve, write_project
from flowerbed.local.uv import uv_environment


def newest_patch(
    minor: Minor, python: Interpreter, progress: Progress = silent, *, today: datetime.date | None = None
) -> Release:
    """Return the newest patch of a minor release that installs on a Python.

    The index is asked once a day; without a network the last answer counts.

    Parameters
    ----------
    minor : Minor
        Such as 1.26.
    python : Interpreter
        The Python on which it shall run.
    progress : callable
        Is told that the index is asked.
    today : date or None
        The day; the clock's if None.

    Raises
    ------
    ReleaseError
        If no patch of it installs.
    EnvironmentFailed
        If the index cannot be asked.
    """
    day = (today or datetime.datetime.now(datetime.UTC).date()).isoformat()
    env = uv_environment(os.environ)
    asked = json.dumps([python.version, python.abi, sorted((k, v) for k, v in env.items() if k.startswith("UV_"))])
    known = cache_root() / "newest" / f"{minor}-{hashlib.sha256(asked.encode()).hexdigest()[:12]}.json"
    try:
        answer = {str(key): str(value) for key, value in json.loads(known.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, AttributeError):
        answer = {}
    if answer.get("day") != day:
        progress(f"asking the package index for the newest Flower {minor}")
        try:
            answer = {"day": day, "release": _ask(minor, python)}
        except EnvironmentFailed:
            if "release" not in answer:
                raise
        else:
            with writable(known.parent):
                write_durably(known, json.dumps(answer))
    release = parse(answer["release"])
    if not isinstance(release, Release) or release.minor != minor:
        raise ReleaseError(f"the package index has no release of Flower {minor}, only {release}")
    return release


def _ask(minor: Minor, python: Interpreter) -> str:
    with writable(cache_root()), scratch() as folder:
        # Both a floor and a ceiling: without the floor a solve may fall back to an old flwr.
        write_project(folder, [f"flwr>={minor}.0,<{minor.major}.{minor.minor + 1}"], {}, {})
        try:
            return solve(folder, python.path, doing=f"looking for the newest Flower {minor}", where=None)["flwr"]
        except EnvironmentFailed as error:
            if "No solution found" not in error.message or "UV_OFFLINE" in error.message:
                raise
            reason = error.message.partition("\n")[2]
            raise ReleaseError(
                f"no release of Flower {minor} can be installed on Python {python.version}\n{reason}",
                hint="Choose another Flower release in the federation file.",
            ) from error
