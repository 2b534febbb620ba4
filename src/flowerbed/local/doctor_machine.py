"""What `doctor` says of this machine: gather the facts, decide purely, say the next command."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from flowerbed.counting import counted
from flowerbed.environments.cache import cache_root, size_within
from flowerbed.environments.python import installed
from flowerbed.environments.uv import find_uv, uv_cache
from flowerbed.errors import FlowerbedError
from flowerbed.flower.releases import DEFAULT
from flowerbed.local import machine as here

SMALL_DISK_BYTES = 2 * 10**9
"""An environment with scikit-learn takes about 0.4 GB, and a build needs it twice for a moment."""

COUNTING_SECONDS = 2.0
"""How long the cache's files are counted: large environments have tens of thousands."""

_PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
_CONTAINER_TOOLS = ("docker", "podman", "buildah")


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
    cache : Path or None
        The cache's root; None if there is no home for it.
    cache_free : int
        Free bytes there.
    cache_writable : bool
        Whether it can be written.
    proxy : str or None
        A proxy that the environment names.
    uv_cache : Path or None
        Where uv keeps what it downloads.
    uv_cache_writable : bool
        Whether that can be written.
    cache_bytes : int
        What the cache takes, as far as it was counted.
    cache_counted : bool
        Whether all of it was.
    cache_there : bool
        Whether the cache's folder is there.
    cores : int
        The cores that may be used.
    memory : int
        The memory in bytes that may be used.
    memory_available : int or None
        What of it is free; None where the system does not tell.
    gpus : tuple of str
        The names of the GPUs.
    container_tools : tuple of str
        Where tools are that build and run images.
    kubectl : str or None
        Where kubectl is.
    """

    platform: str
    python: str
    uv: str | None
    pythons: frozenset[str]
    cache: Path | None
    cache_free: int
    cache_writable: bool
    proxy: str | None
    uv_cache: Path | None = None
    uv_cache_writable: bool = True
    cache_bytes: int = 0
    cache_counted: bool = True
    cache_there: bool = True
    cores: int = 1
    memory: int = 0
    memory_available: int | None = None
    gpus: tuple[str, ...] = ()
    container_tools: tuple[str, ...] = ()
    kubectl: str | None = None


def look() -> Machine:
    """Gather the facts about this machine; nothing is made, and what is not there is no error."""
    try:
        uv: str | None = str(find_uv())
    except FlowerbedError:
        uv = None
    try:
        cache: Path | None = cache_root()
    except FlowerbedError:
        cache = None
    downloads = uv_cache() if uv else None
    taken, counted = size_within(cache, COUNTING_SECONDS) if cache else (0, True)
    return Machine(
        platform=sys.platform,
        python=sys.version.split()[0],
        uv=uv,
        pythons=frozenset(installed()) if uv else frozenset(),
        cache=cache,
        cache_free=shutil.disk_usage(_nearest(cache)).free if cache else 0,
        cache_writable=_writable(cache),
        proxy=next((os.environ[name] for name in _PROXIES if os.environ.get(name)), None),
        uv_cache=downloads,
        uv_cache_writable=_writable(downloads),
        cache_bytes=taken,
        cache_counted=counted,
        cache_there=cache is not None and cache.exists(),
        cores=here.cores(),
        memory=here.memory(),
        memory_available=here.memory_available(),
        gpus=tuple(here.gpus()),
        container_tools=tuple(path for name in _CONTAINER_TOOLS if (path := shutil.which(name))),
        kubectl=shutil.which("kubectl"),
    )


def _nearest(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that is there."""
    return next(place for place in (folder, *folder.parents) if place.exists())


def _writable(folder: Path | None) -> bool:
    """Tell whether a folder can be written, or made."""
    if folder is None:
        return False
    place = _nearest(folder)
    if not (place.is_dir() and os.access(place, os.W_OK | os.X_OK)):
        return False
    # In a file system without any room, such as /proc, root may write and still cannot make a folder.
    return place == folder or shutil.disk_usage(place).total > 0


def check_machine(machine: Machine) -> list[Check]:
    """Judge the machine. Pure."""
    return [
        check(machine) for check in (_platform, _uv, _python, _cache, _proxy, _size, _gpus, _container_tools, _kubectl)
    ]


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
    if not machine.uv_cache_writable:
        where = f"the folder {machine.uv_cache}" if machine.uv_cache else "no home folder"
        return Check(
            "uv",
            State.WRONG,
            f"uv has {where} for what it downloads, which cannot be written" if machine.uv_cache else f"uv has {where}",
            "export UV_CACHE_DIR=…, a folder that can be written",
        )
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
        cannot = "written" if machine.cache_there else "made"
        what = f"the cache's folder {machine.cache} cannot be {cannot}"
        what = what if machine.cache else "there is no home for the cache"
        return Check("cache", State.WRONG, what, "export FLOWERBED_CACHE_DIR=…, a folder that can be written")
    if machine.cache_free < SMALL_DISK_BYTES:
        return Check(
            "cache",
            State.WARNING,
            f"only {machine.cache_free / 1e9:.1f} GB are free at {machine.cache}",
            "flowerbed env prune",
        )
    holds = f"holds {machine.cache_bytes / 1e9:.1f} GB"
    if not machine.cache_counted:
        holds = f"was not counted to its end in {COUNTING_SECONDS:g} s"
    return Check(
        "cache", State.OK, f"the cache {machine.cache} {holds}; {machine.cache_free / 1e9:.0f} GB are free there"
    )


def _proxy(machine: Machine) -> Check:
    if machine.proxy is None:
        return Check("proxy", State.OK, "no proxy is set")
    return Check("proxy", State.OK, "a proxy is set; Flower's own connections go around it (they are on loopback)")


def _size(machine: Machine) -> Check:
    free = f", {machine.memory_available / 1e9:.1f} GB of it free" if machine.memory_available is not None else ""
    return Check(
        "machine", State.OK, f"{counted(machine.cores, 'core')} and {machine.memory / 1e9:.1f} GB of memory{free}"
    )


def _gpus(machine: Machine) -> Check:
    return Check("gpus", State.OK, ", ".join(machine.gpus) or "no GPU; apps train on the cores")


def _container_tools(machine: Machine) -> Check:
    found = ", ".join(machine.container_tools)
    return Check("containers", State.OK, found or "no container engine; `flowerbed build` needs none")


def _kubectl(machine: Machine) -> Check:
    return Check("kubectl", State.OK, machine.kubectl or "no kubectl; `--on kubernetes` needs none")
