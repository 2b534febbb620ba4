"""How each set of images is made; run by `cluster.images` as ``python -m cluster.recipes RECIPE FOLDER ARGUMENTS``.

Flower's own images (``flwr/superlink``, ``flwr/supernode``, ``flwr/superexec``) are on no registry that a test may
ask, so these stand in for them: the same release from PyPI, with the layout of Flower's own.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from cluster.configuration import DNS_IMAGE, SANDBOX_IMAGE
from cluster.registry import serving
from cluster.workshop import Workshop, chrooted, debian_mirror, run, work_alone

BASE_IMAGE = "flowerbed.test/base:1"
APP_USER = 49999
"""The user of Flower's images."""
PROGRAMS = ("superlink", "supernode", "superexec")

_PACKAGES = "python3,python3-venv,ca-certificates,nginx-light"
_PUBLIC_MIRROR = "http://deb.debian.org/debian"
_VENV = "/python/venv"
_ENVIRONMENT = {
    "PATH": f"{_VENV}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/app",
    "LANG": "C.UTF-8",
    "PYTHONUNBUFFERED": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}


def system(workshop: Workshop, pause: str, coredns: str) -> None:
    """Make the images that a cluster itself runs: each one static program, and nothing else."""
    for image, program in ((SANDBOX_IMAGE, pause), (DNS_IMAGE, coredns)):
        container = workshop.start("scratch")
        workshop.buildah("copy", "--quiet", "--chmod", "755", container, program, f"/{Path(program).name}")
        workshop.buildah("config", "--entrypoint", json.dumps([f"/{Path(program).name}"]), container)
        workshop.finish(container, image)


def base(workshop: Workshop, release: str, mirror: str) -> None:
    """Make a small Debian with Python, without a trace of where it came from."""
    container = workshop.start("scratch")
    with workshop.opened(container) as root:
        run("debootstrap", "--variant=minbase", f"--include={_PACKAGES}", release, str(root), mirror)
        for pattern in ("var/lib/apt/lists/*", "var/cache/*/*", "var/log/*", "usr/share/doc/*", "usr/share/man/*"):
            for path in root.glob(pattern):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        (root / "etc/apt/sources.list").write_text(f"deb {_PUBLIC_MIRROR} {release} main\n")
        (root / "etc/hostname").unlink(missing_ok=True)
        for name in ("resolv.conf", "hosts"):
            (root / "etc" / name).unlink(missing_ok=True)
            (root / "etc" / name).touch()
    workshop.finish(container, BASE_IMAGE)


def proxy(workshop: Workshop, image: str) -> None:
    """Make an image of nginx: the base has it, and this one starts it and nothing else."""
    container = workshop.start(BASE_IMAGE)
    workshop.buildah("config", "--entrypoint", json.dumps(["nginx"]), "--user", str(APP_USER), container)
    workshop.finish(container, image)


def flower(workshop: Workshop, release: str) -> None:
    """Make the three images of one Flower release: one and the same environment, three entry points."""
    container = workshop.start(BASE_IMAGE)
    with workshop.opened(container) as root:
        _in(root, "groupadd", "--gid", str(APP_USER), "app")
        user = ["--uid", str(APP_USER), "--gid", "app", "--home-dir", "/app", "--create-home"]
        _in(root, "useradd", *user, "--shell", "/bin/sh", "app")
        _in(root, "python3", "-m", "venv", _VENV)
        _pip(root, f"flwr=={release}")
    for name, value in _ENVIRONMENT.items():
        workshop.buildah("config", "--env", f"{name}={value}", container)
    workshop.buildah("config", "--user", "app", "--workingdir", "/app", container)
    for program in PROGRAMS:
        workshop.buildah("config", "--entrypoint", json.dumps([f"flower-{program}"]), container)
        workshop.finish(container, f"flwr/{program}:{release}")


def torch(workshop: Workshop, release: str, debian: str, mirror: str) -> None:
    """Make a SuperExec whose environment sees Debian's CPU build of torch, which is the system's Python's."""
    container = workshop.start(f"flwr/superexec:{release}")
    with workshop.opened(container) as root:
        sources, settings = root / "etc/apt/sources.list", root / "etc/apt/apt.conf.d/99borrowed"
        before = sources.read_text()
        sources.write_text(f"deb {mirror} {debian} main\n")
        known = run("apt-config", "dump").splitlines()
        settings.write_text(
            "".join(f"{line}\n" for line in known if line.startswith(("Acquire::http", "Acquire::https")))
        )
        install = ["install", "--yes", "--no-install-recommends", "python3-torch"]
        with chrooted(root) as environment:
            for arguments in (["update"], install):
                run("chroot", str(root), "apt-get", "-qq", *arguments, environment=environment)
        sources.write_text(before)
        settings.unlink()
        for path in root.glob("var/lib/apt/lists/*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        config = root / _VENV.lstrip("/") / "pyvenv.cfg"
        config.write_text(config.read_text().replace("site-packages = false", "site-packages = true"))
    workshop.finish(container, f"torch/superexec:{release}")


def app(workshop: Workshop, release: str, image: str, requirements: str, folder: str, target: str) -> None:
    """Make an app's image on top of Flower's SuperExec: its requirements, and its code if a folder is given."""
    container = workshop.start(f"flwr/superexec:{release}")
    with workshop.opened(container) as root:
        if wanted := json.loads(requirements):
            _pip(root, *wanted)
        if folder:
            copy = root / target.lstrip("/")
            shutil.copytree(folder, copy, dirs_exist_ok=True)
            run("chown", "--recursive", f"{APP_USER}:{APP_USER}", str(copy))
    workshop.finish(container, image)


def _pip(root: Path, *requirements: str) -> None:
    with chrooted(root) as environment:
        pip = [f"{_VENV}/bin/pip", "install", "--quiet", "--disable-pip-version-check", *requirements]
        run("chroot", str(root), *pip, environment=environment)
    # Only what is new: a file that is touched goes into the layer, and an app's layer shall be the app's.
    run("chown", "--recursive", "--from=0", "--no-dereference", f"{APP_USER}:{APP_USER}", f"{root}{_VENV}")


def _in(root: Path, *command: str) -> None:
    run("chroot", str(root), *command, environment=_ENVIRONMENT | {"HOME": "/"})


def main() -> int:
    """Make one set of images in a folder that has, as ``images``, those that it is made from."""
    recipe, folder, *arguments = sys.argv[1:]
    work = Path(folder) / "work"
    work.mkdir()
    recipes: dict[str, Callable[..., None]] = {
        "system": system,
        "base": base,
        "proxy": proxy,
        "flower": flower,
        "torch": torch,
        "app": app,
    }
    try:
        if recipe in ("base", "torch"):
            arguments.append(debian_mirror(arguments[-1]))
        work_alone()
        with serving(Path(folder) / "images", work) as registry:
            recipes[recipe](Workshop(work, registry), *arguments)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
