"""A cluster leaves nothing behind, however it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cluster.inside import MARK
from cluster.leftovers import CGROUP_PREFIX, cgroups_of, sweep
from cluster.node import KERNEL_TUNABLES
from cluster.packages import cluster_cache

_TESTS = Path(__file__).parents[1]
_HARNESS = """
import json, signal
from cluster import Cluster
from cluster.images import flower_images
from cluster.pods import pod

signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in its background ignores it

with Cluster(2, images=[flower_images("1.42.0")]) as one:
    one.kubectl("create", "-f", "-", input=json.dumps(pod("sleeper", "sleep 1000")))
    one.kubectl("wait", "pod/sleeper", "--for=condition=Ready", "--timeout=90s")
    print(one.identity, flush=True)
    input()
"""
_SYSTEM_FOLDERS = [
    "/etc/cni",
    "/opt/cni",
    "/run/containerd",
    "/usr/libexec/kubernetes",
    "/var/lib/cni",
    "/var/lib/containerd",
    "/var/lib/containers",
    "/var/lib/kubelet",
    "/var/log/pods",
]


@dataclass(frozen=True)
class Traces:
    """What can be seen of a cluster from the host.

    Parameters
    ----------
    identity : str
        Which cluster.
    interface : str
        The host's end of its cable.
    namespaces : frozenset of str
        All namespaces that it has and the host has not, such as ``net:[4026532001]``.
    """

    identity: str
    interface: str
    namespaces: frozenset[str]

    def left(self) -> list[str]:
        """Return all that is still there."""
        found = [f"process {process}" for process in _processes(self.identity)]
        for process in _all_processes():
            # The kernel uses the numbers of namespaces again, so those of another cluster say nothing.
            if _cluster(process) in (None, self.identity):
                found += [f"namespace of {process}"] if self.namespaces & _namespaces(process) else []
                mounts = _read(f"/proc/{process}/mountinfo").splitlines()
                found += [
                    line for line in mounts if self.identity in line or any(name in line for name in self.namespaces)
                ]
        found += [str(group) for group in cgroups_of(self.identity)]
        found += [self.interface] if Path("/sys/class/net", self.interface).exists() else []
        return found + [str(path) for path in _folder(self.identity).parent.glob(f"{self.identity}*")]

    def check(self) -> None:
        """See that all kinds of traces are seen; else the tests would pass with any cluster."""
        found = self.left()
        assert len(self.namespaces) >= 10
        for kind in ("process ", "namespace of ", "/sys/fs/cgroup", self.interface, str(_folder(self.identity))):
            assert any(one.startswith(kind) for one in found), kind
        assert any(" - overlay " in one for one in found)
        assert any(" - nsfs " in one for one in found)


@dataclass
class Harness:
    """A process that has a cluster with a Pod, and that a test may end as it likes."""

    process: subprocess.Popen[str]
    traces: Traces

    def gone(self, seconds: float = 90) -> None:
        """Wait until nothing of the cluster is left."""
        until = time.monotonic() + seconds
        while left := self.traces.left():
            assert time.monotonic() < until, left
            time.sleep(0.05)


def _folder(identity: str) -> Path:
    return cluster_cache() / "running" / identity


def _all_processes() -> list[str]:
    return [name for name in os.listdir("/proc") if name.isdigit()]


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:  # it has just ended
        return ""


def _cluster(process: str) -> str | None:
    """Return whose process it is: programs carry a mark, containers are in a cgroup of their cluster."""
    carried = re.search(rf"(?:^|\0){MARK}=(\w+)", _read(f"/proc/{process}/environ"))
    grouped = re.search(rf"/{CGROUP_PREFIX}(\w+)", _read(f"/proc/{process}/cgroup"))
    found = carried or grouped
    return found[1] if found else None


def _processes(identity: str) -> list[str]:
    return [process for process in _all_processes() if _cluster(process) == identity]


def _namespaces(process: str) -> frozenset[str]:
    try:
        return frozenset(str(link.readlink()) for link in Path(f"/proc/{process}/ns").iterdir())
    except OSError:
        return frozenset()


@pytest.fixture
def before(cluster_here: None) -> dict[str, str]:
    """Look at the machine; a test takes this before `harness`."""
    return _machine()


@pytest.fixture
def harness(cluster_here: None) -> Iterator[Harness]:
    """Start a harness as a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HARNESS],
        env={**os.environ, "PYTHONPATH": str(_TESTS)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        identity = process.stdout.readline().strip()
        assert identity, "the harness failed (see its error above)"
        own = frozenset().union(*(_namespaces(name) for name in _processes(identity))) - _namespaces("self")
        interface = (_folder(identity) / "interface").read_text()
        traces = Traces(identity, interface, own)
        traces.check()
        yield Harness(process, traces)
        process.kill()


def test_nothing_is_left_after_a_normal_end_and_the_machine_stays_as_it_is(
    before: dict[str, str], harness: Harness
) -> None:
    assert _machine() == before
    assert harness.process.stdin is not None
    harness.process.stdin.write("\n")
    harness.process.stdin.close()
    assert harness.process.wait(90) == 0
    harness.gone(seconds=10)  # for the kernel, which takes networks down in the background
    assert _machine() == before


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_nothing_is_left_after_a_signal(harness: Harness, number: signal.Signals) -> None:
    harness.process.send_signal(number)
    assert harness.process.wait(90) != 0
    harness.gone()


def test_nothing_is_left_where_a_part_had_been_stopped(harness: Harness) -> None:
    """As a test does that wants a node to be lost: the kernel waits for whoever has to reap what runs inside."""
    entered = [
        name for name in _processes(harness.traces.identity) if _read(f"/proc/{name}/cmdline").startswith("nsenter")
    ]
    [kubelet, *_] = [name for name in entered if "/kubelet\0" in _read(f"/proc/{name}/cmdline")]
    os.kill(int(kubelet), signal.SIGSTOP)
    harness.process.kill()
    harness.gone()


def test_the_next_cluster_removes_what_a_killed_guard_left(harness: Harness) -> None:
    command = f"cluster.guard\0{_folder(harness.traces.identity)}"
    guards = [name for name in _processes(harness.traces.identity) if command in _read(f"/proc/{name}/cmdline")]
    assert len(guards) == 1
    harness.process.kill()
    os.kill(int(guards[0]), signal.SIGKILL)
    _await(lambda: not _processes(harness.traces.identity))
    sweep(_folder(harness.traces.identity).parent)
    harness.gone()


def _machine() -> dict[str, str]:
    """Return what a kubelet, containerd or buildah changes on a machine where nobody stops them."""
    tunables = {name: _read(f"/proc/sys/{name}") for name in KERNEL_TUNABLES}
    return tunables | {name: str(Path(name).exists()) for name in _SYSTEM_FOLDERS}


def _await(condition: Callable[[], bool], seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)
