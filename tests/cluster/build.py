"""Builds what no distribution has: Kubernetes and CoreDNS from their Go modules, and the sandbox program.

Each is built once into Flowerbed's cache, in a folder that is named for a hash of all that goes into it.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cluster.packages import SEARCH_PATH, cluster_cache, find, missing_go
from flowerbed.environments.cache import Progress, locked

SOURCES = Path(__file__).parent
_PARTS = ("kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl", "kubelet")


class BuildFailed(Exception):
    """A part of the test cluster could not be built."""


@dataclass(frozen=True)
class Binaries:
    """Where the built programs are.

    Parameters
    ----------
    kubernetes : Path
        A folder with kube-apiserver, kube-controller-manager, kube-proxy, kube-scheduler, kubectl and kubelet.
    coredns, pause : Path
        One program each.
    """

    kubernetes: Path
    coredns: Path
    pause: Path


def kubernetes_version() -> str:
    """Return the Kubernetes release that is built, such as ``1.34.4``."""
    found = re.search(r"^require k8s\.io/kubernetes v(\S+)$|^\tk8s\.io/kubernetes v(\S+)$", _go_mod(), re.MULTILINE)
    assert found, "kubernetes/go.mod requires no k8s.io/kubernetes"
    return found[1] or found[2]


def ensure(progress: Progress = print) -> Binaries:
    """Return the programs, built if need be.

    Raises
    ------
    BuildFailed
        With the compiler's last words.
    """
    version = kubernetes_version()
    major, minor, _ = version.split(".", 2)
    stamp = {"gitVersion": f"v{version}", "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    flags = " ".join(f"-X k8s.io/component-base/version.{name}={value}" for name, value in stamp.items())
    return Binaries(
        pause=built("pause", "", "", progress) / "pause",
        coredns=built("coredns", "", "about a minute", progress) / "coredns",
        kubernetes=built("kubernetes", flags, "five to seven minutes", progress, names=_PARTS),
    )


def _go_mod() -> str:
    return (SOURCES / "kubernetes" / "go.mod").read_text(encoding="utf-8")


def built(name: str, flags: str, duration: str, progress: Progress, names: tuple[str, ...] = ()) -> Path:
    """Return the folder with one program, and with a link to it for each of `names`; build it if need be."""
    if problem := missing_go():
        raise BuildFailed(problem)
    sources = SOURCES / name
    flags = f"-s -w {flags}".strip()
    folder = cluster_cache() / f"{name}-{_key(sources, flags, *names)}"
    if folder.exists():
        return folder
    with locked(
        cluster_cache() / f"{name}.lock",
        waiting=lambda: progress(f"waiting for another build of {name}"),
    ):
        if folder.exists():
            return folder
        for left in cluster_cache().glob(f".{name}-*"):
            shutil.rmtree(left)  # of a build that was killed: nobody else builds while the lock is ours
        progress(f"building {name}, once" + (f" ({duration} on 2 cores)" if duration else ""))
        beside = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=cluster_cache()))
        _compile(sources, flags, beside / name)
        for link in names:
            (beside / link).symlink_to(name)
        beside.chmod(0o755)
        beside.rename(folder)
    return folder


def _compile(sources: Path, flags: str, target: Path) -> None:
    # Compilers give way to whatever else runs here, and end with us.
    command = ["setpriv", "--pdeathsig", "TERM", "nice", "-n", "10", find("go") or "go", "build", "-trimpath"]
    done = subprocess.run(
        [*command, "-ldflags", flags, "-o", str(target), "."],
        cwd=sources,
        env={**os.environ, "PATH": SEARCH_PATH, "CGO_ENABLED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BuildFailed(f"go could not build {sources.name}:\n{done.stderr.strip()[-3000:]}")


def _key(sources: Path, *more: str) -> str:
    """Hash all that goes into a build: the sources, the compiler, the flags."""
    go = subprocess.run([find("go") or "go", "env", "GOVERSION", "GOARCH"], capture_output=True, check=True).stdout
    digest = hashlib.sha256(go)
    for text in more:
        digest.update(text.encode() + b"\0")
    for file in sorted(sources.iterdir()):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
