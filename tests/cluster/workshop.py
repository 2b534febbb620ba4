"""What images are made with: buildah, debootstrap, and pip in a folder that is going to be an image.

All of it runs in mount and PID namespaces of its own (see `cluster.images`), so that a build that is killed leaves
neither a mount nor a process. The machine's own settings (mirror, index, certificates) are read when needed, used
from a folder that is removed before an image is committed, and never get into one.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_TRUST = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def work_alone() -> None:
    """Hide the system's state, in namespaces of our own: wherever buildah is told to work, it keeps a cache there."""
    run("mount", "-t", "tmpfs", "tmpfs", "/var/lib")


class Workshop:
    """Makes images and puts them into a set.

    Parameters
    ----------
    folder : Path
        Where all in-between things go; whoever makes the workshop removes it.
    registry : str
        The address of the registry that images are taken from and put into (`cluster.registry.serving`).
    """

    def __init__(self, folder: Path, registry: str) -> None:
        self._folder = folder
        self._registry = registry
        policy = folder / "policy.json"
        policy.write_text(json.dumps({"default": [{"type": "insecureAcceptAnything"}]}))
        self._trust = ["--signature-policy", str(policy)]
        self._settings = folder / "containers.conf"
        self._settings.write_text(f'[network]\nnetwork_config_dir = "{folder}/networks"\n')  # else in /etc/cni
        self._driver = "overlay"
        if self._buildah_fails():
            self._driver = "vfs"  # slower, and works where an overlay cannot lie, as on another overlay

    def _buildah_fails(self) -> bool:
        try:
            self.buildah("rm", self.start("scratch"))
        except RuntimeError:
            return True
        return False

    def buildah(self, *arguments: str) -> str:
        """Run buildah and return the last line that it prints."""
        where = ["--root", str(self._folder / "storage"), "--runroot", str(self._folder / "run")]
        environment = {**os.environ, "CONTAINERS_CONF": str(self._settings), "HOME": str(self._folder)}
        environment["TMPDIR"] = str(self._folder)
        command = ["buildah", *where, "--storage-driver", self._driver, *arguments]
        lines = run(*command, environment=environment).strip().splitlines()
        return lines[-1] if lines else ""

    def start(self, image: str) -> str:
        """Return a new working container: from ``scratch``, or from an image of the registry."""
        if image == "scratch":
            return self.buildah("from", "scratch")
        return self.buildah(
            "from", "--tls-verify=false", *self._trust, f"docker://{self._registry}/{repository(image)}"
        )

    @contextmanager
    def opened(self, container: str) -> Iterator[Path]:
        """Give a working container's files as a folder."""
        yield Path(self.buildah("mount", container))
        self.buildah("umount", container)

    def finish(self, container: str, image: str) -> None:
        """Make an image of a working container and put it into the registry."""
        self.buildah("commit", "--quiet", *self._trust, "--format", "oci", container, image)
        # What never leaves the machine need not be small; two cores have better things to do than to unpack it.
        push = [
            "push",
            "--quiet",
            "--tls-verify=false",
            *self._trust,
            "--compression-format",
            "zstd",
            "--compression-level",
            "1",
        ]
        self.buildah(*push, image, f"docker://{self._registry}/{repository(image)}")


def repository(image: str) -> str:
    """Return an image's name without the registry's, as a mirror knows it.

    Examples
    --------
    >>> repository("ghcr.io/someone/app:1"), repository("flwr/superlink:1.42.0"), repository("app:1")
    ('someone/app:1', 'flwr/superlink:1.42.0', 'library/app:1')
    """
    first, _, rest = image.partition("/")
    if not rest:
        return f"library/{image}"
    named = "." in first or ":" in first or first == "localhost"
    return rest if named else image


def run(*command: str, environment: dict[str, str] | None = None) -> str:
    """Run a program and return what it prints."""
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise RuntimeError(f"{' '.join(command[:6])} ... ended with {done.returncode}:\n{said}")
    return done.stdout


def debian_release() -> str:
    """Return the code name of this machine's Debian, or of the one that it descends from."""
    system = Path("/etc/os-release").read_text()
    found = re.search(r"^DEBIAN_CODENAME=(\w+)", system, re.MULTILINE) or re.search(
        r"^VERSION_CODENAME=(\w+)", system, re.MULTILINE
    )
    if not found:
        raise RuntimeError("/etc/os-release names no release of Debian")
    return found[1]


def debian_mirror(release: str) -> str:
    """Return where this machine's own packages come from."""
    form = ["--format", "$(REPO_URI) $(CODENAME) $(COMPONENT)", "Created-By: Packages"]
    for line in run("apt-get", "indextargets", *form).splitlines():
        uri, codename, component = line.split()
        if (codename, component) == (release, "main"):
            return uri
    raise RuntimeError(f"apt knows no mirror of Debian {release} (apt-get update?)")


@contextmanager
def chrooted(root: Path) -> Iterator[dict[str, str]]:
    """Prepare a root folder for pip; yield the environment that it needs there.

    Names are resolved and certificates trusted as on this machine, from mounts and from a folder that go away again.
    """
    borrowed = root / "tmp" / "borrowed"
    borrowed.mkdir()
    mounts = {"/proc": root / "proc", "/dev": root / "dev"}
    for name in ("resolv.conf", "hosts"):
        mounts[f"/etc/{name}"] = root / "etc" / name
    environment = {"PATH": "/python/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    environment |= {
        "HOME": "/tmp/borrowed",
        "LANG": "C.UTF-8",
        "PIP_NO_CACHE_DIR": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
    }
    for name, value in _settings().items():
        there = value
        if value.startswith("/") and (here := Path(value)).exists():
            copy = borrowed / name
            there = f"/tmp/borrowed/{name}"
            if here.is_dir():
                copy.mkdir()
                mounts[value] = copy
            else:
                shutil.copyfile(here, copy)
        environment[name] = there
    mounted: list[Path] = []
    try:
        for source, target in mounts.items():
            run("mount", "--rbind", source, str(target))
            mounted.append(target)
        yield environment
    finally:
        for target in reversed(mounted):
            run("umount", "--recursive", "--lazy", str(target))
    shutil.rmtree(borrowed)


def _settings() -> dict[str, str]:
    """Return pip's settings on this machine, from its files and its environment, and what else it takes to get out."""
    found = {name: os.environ[name] for name in _TRUST if name in os.environ}
    found |= {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    for line in run(sys.executable, "-m", "pip", "config", "list").splitlines():
        key, _, value = line.partition("=")
        option = key.rpartition(".")[2].upper().replace("-", "_")
        found[f"PIP_{option}"] = str(ast.literal_eval(value))
    return found
