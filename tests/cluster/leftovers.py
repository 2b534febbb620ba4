"""Takes away what the kernel does not take back by itself when a cluster's processes are gone.

Processes, mounts and network namespaces end with the first process of the cluster's PID namespace. What stays is a
tree of cgroups, the working folder, and for a moment the host's end of the cable.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import time
from pathlib import Path

from cluster.inside import MARK
from flowerbed.environments.cache import locked, try_lock

CGROUP_PREFIX = "flowerbed-cluster-"
_LOCK = "lock"


def cgroup_hierarchies() -> list[Path]:
    """Return the roots of all cgroup hierarchies: one on cgroup v2, about ten on v1."""
    roots = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        if fields[fields.index("-") + 1] in ("cgroup", "cgroup2"):
            roots.append(Path(fields[4]))
    return list(dict.fromkeys(roots))


def make_cgroups(path: Path) -> None:
    """Make a cgroup (``A/B``, without a leading slash) in every hierarchy, fit to hold containers."""
    for root in cgroup_hierarchies():
        for level in [*reversed(path.parents), path][1:]:
            folder = root / level
            with contextlib.suppress(FileNotFoundError):  # cgroup v2: what a child may limit, its parent says
                controllers = (folder.parent / "cgroup.controllers").read_text().split()
                (folder.parent / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in controllers))
            folder.mkdir(exist_ok=True)
            if (root / "cpuset.cpu_exclusive").exists():  # v1: a new cpuset is empty, and takes no process until filled
                for knob in ("cpuset.cpus", "cpuset.mems"):
                    (folder / knob).write_text((folder.parent / knob).read_text())


def cgroups_of(identity: str) -> list[Path]:
    """Return the cgroups of one cluster, in every hierarchy."""
    return [root / f"{CGROUP_PREFIX}{identity}" for root in cgroup_hierarchies() if _has(root, identity)]


def _has(root: Path, identity: str) -> bool:
    return (root / f"{CGROUP_PREFIX}{identity}").is_dir()


def remove_cgroups(identity: str, patience: float = 10) -> None:
    """Remove the cgroups of one cluster. A cgroup stays busy for a moment after its last process."""
    until = time.monotonic() + patience
    while left := cgroups_of(identity):
        for top in left:
            for folder, _, _ in os.walk(top, topdown=False):
                with contextlib.suppress(OSError):
                    Path(folder).rmdir()
        if time.monotonic() > until:
            raise TimeoutError(f"these cgroups stay busy: {', '.join(map(str, cgroups_of(identity)))}")
        time.sleep(0.02)


def kill_marked(identity: str, spare: set[int]) -> None:
    """Kill the processes that carry the mark of one cluster, but those to spare."""
    mark = f"{MARK}={identity}".encode()
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) not in spare:
            with contextlib.suppress(OSError):  # it has just ended
                if mark in (process / "environ").read_bytes().split(b"\0"):
                    os.kill(int(process.name), signal.SIGKILL)


def clean(folder: Path) -> None:
    """Remove all that a cluster whose processes are gone has left, with its working folder."""
    with contextlib.suppress(FileNotFoundError):
        # The kernel does that too, but only when the last connection inside has given up, minutes later.
        interface = (folder / "interface").read_text()
        subprocess.run(["ip", "link", "delete", interface], capture_output=True, check=False)
    with contextlib.suppress(TimeoutError):
        remove_cgroups(folder.name)
    # Unpacked images are tens of thousands of files, which rm takes fastest.
    subprocess.run(["rm", "--recursive", "--force", str(folder)], check=False)


def claim(folder: Path) -> int:
    """Make a working folder; until the last copy of this descriptor closes, nobody takes it for a leftover."""
    with locked(folder.parent.with_suffix(".lock"), waiting=lambda: None):  # a new folder is not held for a moment
        sweep(folder.parent)
        folder.mkdir(parents=True)
        descriptor = os.open(folder / _LOCK, os.O_CREAT | os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def sweep(parent: Path) -> None:
    """Remove what clusters left whose guard was killed too."""
    for folder in parent.glob("*/"):
        with contextlib.suppress(FileNotFoundError), (folder / _LOCK).open("rb") as file:
            if try_lock(file.fileno()):
                clean(folder)
