"""What a machine needs to run a cluster, and what of it is missing here."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from flowerbed.environments.cache import cache_root

DEBIAN_PACKAGES = [
    "buildah",
    "conntrack",
    "containerd",
    "containernetworking-plugins",
    "debootstrap",
    "docker-registry",
    "ethtool",
    "etcd-server",
    "iproute2",
    "iptables",
    "nftables",
    "openssl",
    "runc",
    "util-linux",
    "wget",
]
"""All that the harness takes from Debian. Their services need not run: each cluster starts its own."""

OLDEST_GO = (1, 24)
"""The oldest Go that builds this Kubernetes."""

_PROGRAMS = {
    "buildah": "buildah",
    "conntrack": "conntrack",
    "containerd": "containerd",
    "debootstrap": "debootstrap",
    "docker-registry": "docker-registry",
    "etcd": "etcd-server",
    "ip": "iproute2",
    "iptables": "iptables",
    "nft": "nftables",
    "nsenter": "util-linux",
    "openssl": "openssl",
    "runc": "runc",
    "unshare": "util-linux",
}

CNI_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"), Path("/usr/libexec/cni"))
"""Where distributions keep the CNI plug-ins: Debian, upstream, Fedora."""

SEARCH_PATH = ":".join(dict.fromkeys([*os.environ.get("PATH", os.defpath).split(":"), "/usr/sbin", "/sbin"]))
"""PATH, with the folders of the system's own programs, which a user's PATH may lack."""


def cluster_cache() -> Path:
    """Return the folder in Flowerbed's cache in which everything of the test clusters is kept."""
    return cache_root() / "cluster"


def missing() -> str | None:
    """Say in one sentence why no cluster can run on this machine, or return None if one can."""
    if not sys.platform.startswith("linux"):
        return "a cluster needs Linux"
    if os.geteuid() != 0:
        return "a cluster needs root: it makes namespaces, mounts and cgroups of its own"
    absent = {package for program, package in _PROGRAMS.items() if not find(program)}
    if cni_folder() is None:
        absent.add("containernetworking-plugins")
    if absent:
        return f"a cluster needs programs that are not here; on Debian: apt-get install {' '.join(sorted(absent))}"
    if (cache := cluster_cache()).is_relative_to("/run") or cache.is_relative_to("/var"):
        return (
            f"a cluster hides /run and /var from its programs, so its cache cannot be {cache}: set FLOWERBED_CACHE_DIR"
        )
    if "overlay" not in Path("/proc/filesystems").read_text():
        return "a cluster needs a kernel with overlayfs (modprobe overlay)"
    if subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode:
        return "a cluster needs to make network namespaces, and this machine refuses (is CAP_SYS_ADMIN missing?)"
    return missing_go()


def missing_go() -> str | None:
    """Say in one sentence why Kubernetes cannot be built here, or return None if it can."""
    needed = f"Kubernetes is built from its modules with Go {OLDEST_GO[0]}.{OLDEST_GO[1]} or newer"
    if not (go := find("go")):
        return f"{needed}, and no go is on PATH (https://go.dev/dl)"
    answer = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout.strip()
    found = re.match(r"go(\d+)\.(\d+)", answer)
    if not found or (int(found[1]), int(found[2])) < OLDEST_GO:
        return f"{needed}, and {go} is {answer or 'broken'}"
    return None


def find(program: str) -> str | None:
    """Return where a program is, also if the user's PATH lacks the system's own programs."""
    return shutil.which(program, path=SEARCH_PATH)


def cni_folder() -> Path | None:
    """Return the folder with the CNI plug-ins."""
    return next((folder for folder in CNI_FOLDERS if (folder / "ptp").exists()), None)
