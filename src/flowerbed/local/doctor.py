"""What can be wrong on this machine, each a small check: gather the facts, decide purely, say the next command."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from flowerbed import processes
from flowerbed.counting import counted
from flowerbed.environments.cache import cache_root
from flowerbed.environments.python import installed
from flowerbed.environments.uv import find_uv
from flowerbed.errors import FlowerbedError
from flowerbed.flower.releases import DEFAULT
from flowerbed.local.layout import StateFolder
from flowerbed.local.runtime import LocalRuntime

SMALL_DISK_BYTES = 2 * 10**9
"""An environment with scikit-learn takes about 0.4 GB, and a build needs it twice for a moment."""


class State(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True)
class Check:
    """One check's outcome.

    Parameters
    ----------
    id : str
        Its name.
    state : State
        How it came out.
    message : str
        What was found.
    next : str
        The next command to type, or thing to do; empty if there is none.
    """

    id: str
    state: State
    message: str
    next: str = ""


@dataclass(frozen=True)
class Machine:
    """What the checks about the machine are decided from.

    Parameters
    ----------
    platform, python : str
        As `sys` tells.
    uv : str or None
        Where uv is.
    pythons : frozenset of str
        The versions of Python that were found.
    cache : Path
        The cache's root.
    cache_free : int
        Free bytes there.
    cache_writable : bool
        Whether it can be written.
    proxy : str or None
        A proxy that the environment names.
    """

    platform: str
    python: str
    uv: str | None
    pythons: frozenset[str]
    cache: Path
    cache_free: int
    cache_writable: bool
    proxy: str | None


def look() -> Machine:
    """Gather the facts about this machine."""
    try:
        uv: str | None = str(find_uv())
    except FlowerbedError:
        uv = None
    cache = cache_root()
    existing = next(folder for folder in (cache, *cache.parents) if folder.exists())
    names = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
    return Machine(
        platform=sys.platform,
        python=sys.version.split()[0],
        uv=uv,
        pythons=frozenset(installed()) if uv else frozenset(),
        cache=cache,
        cache_free=shutil.disk_usage(existing).free,
        cache_writable=os.access(existing, os.W_OK),
        proxy=next((os.environ[name] for name in names if os.environ.get(name)), None),
    )


def check_machine(machine: Machine) -> list[Check]:
    """Judge the machine. Pure."""
    return [check(machine) for check in (_platform, _uv, _python, _cache, _proxy)]


def _platform(machine: Machine) -> Check:
    if machine.platform == "linux":
        return Check("platform", State.OK, "Linux: no process outlives its federation")
    return Check(
        "platform",
        State.WARNING,
        f"{machine.platform}: federations run, but when Flowerbed is killed hard, Flower's programs can be left over",
        "flowerbed down",
    )


def _uv(machine: Machine) -> Check:
    if machine.uv is None:
        return Check("uv", State.WRONG, "uv, which builds Flower's environments, was not found", "pip install uv")
    return Check("uv", State.OK, f"uv at {machine.uv}")


def _python(machine: Machine) -> Check:
    proven = DEFAULT.pythons
    fitting = sorted(
        version for version in {machine.python, *machine.pythons} if ".".join(version.split(".")[:2]) in proven
    )
    if fitting:
        return Check("python", State.OK, f"Python {fitting[-1]} runs Flower {DEFAULT.release}")
    return Check(
        "python",
        State.WRONG,
        f"no Python that Flower {DEFAULT.release} is proven on ({', '.join(proven)}) was found",
        f"uv python install {proven[0]}",
    )


def _cache(machine: Machine) -> Check:
    if not machine.cache_writable:
        return Check(
            "cache",
            State.WRONG,
            f"the cache {machine.cache} cannot be written",
            "export FLOWERBED_CACHE_DIR=…, a folder that can",
        )
    if machine.cache_free < SMALL_DISK_BYTES:
        return Check(
            "cache",
            State.WARNING,
            f"only {machine.cache_free / 1e9:.1f} GB are free at {machine.cache}",
            "flowerbed env prune",
        )
    return Check("cache", State.OK, f"{machine.cache_free / 1e9:.0f} GB free at {machine.cache}")


def _proxy(machine: Machine) -> Check:
    if machine.proxy is None:
        return Check("proxy", State.OK, "no proxy is set")
    return Check("proxy", State.OK, "a proxy is set; Flower's own connections go around it (they are on loopback)")


def check_federation(place: Path, validate: Callable[[], str]) -> list[Check]:
    """Check the federation that a place stands for.

    Parameters
    ----------
    place : Path
        Its file or folder.
    validate : callable
        Reads file and app, returns what was found in a sentence, and raises if something is wrong.
    """
    try:
        checks = [Check("file", State.OK, validate())]
    except FlowerbedError as error:
        return [Check("file", State.WRONG, str(error), "mend that, then: flowerbed doctor")]
    folder = StateFolder.beside(place)
    if folder.database.exists():
        checks += _check_state(folder)
    return checks


def _check_state(folder: StateFolder) -> list[Check]:
    runtime = LocalRuntime(folder)
    try:
        status = runtime.status()
    except FlowerbedError as error:
        return [Check("state", State.WRONG, str(error))]
    checks = []
    if not runtime.is_up():
        left = processes.marked(folder.root)
        if left:
            checks.append(Check("leftovers", State.WRONG, f"processes without a supervisor: {left}", "flowerbed down"))
        message = f"the federation is down{': ' + status.reason if status.reason else ''}"
        return [*checks, Check("state", State.WARNING if status.reason else State.OK, message, "flowerbed up")]
    if status.state == "ready":
        return [
            Check(
                "state", State.OK, f"ready, Flower {status.flower}, {counted(status.nodes_online, 'SuperNode')} online"
            )
        ]
    crashing = [component.name for component in status.components if component.state in ("crash loop", "backing off")]
    hint = f"flowerbed logs {crashing[0]}" if crashing else "flowerbed status"
    return [Check("state", State.WRONG, f"{status.state}: {status.reason}", hint)]
