"""Sets of images for a cluster's registry, each built once into Flowerbed's cache.

A set is a folder as docker-registry keeps it, in a folder of the cache that is named for a hash of all that goes into
it. `cluster.Cluster` takes sets from the start (``images=``) or later (`Cluster.offer`).
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cluster.build import Binaries, BuildFailed
from cluster.packages import SEARCH_PATH, cluster_cache
from cluster.registry import add_images
from cluster.workshop import debian_release
from flowerbed.environments.cache import Progress, locked
from flowerbed.kubernetes.manifests.images import PROXY_REPOSITORY, PROXY_TAG

_HERE = Path(__file__).parent


def _code(name: str) -> str:
    """Return what a module does, without its comments and its layout."""
    return ast.unparse(ast.parse((_HERE / name).read_text(encoding="utf-8")))


_RECIPES = "".join(_code(name) for name in ("recipes.py", "workshop.py"))
"""A change of how images are made makes new ones."""


def system_images(programs: Binaries, progress: Progress = print) -> Path:
    """Return the images that a cluster itself runs: the sandbox of each Pod, and CoreDNS."""
    paths = [str(programs.pause), str(programs.coredns)]
    return _made("system", paths, [], progress)


def flower_images(release: str, progress: Progress = print) -> Path:
    """Return ``flwr/superlink``, ``flwr/supernode`` and ``flwr/superexec`` with the tag of one exact release.

    With them comes what stands before a SuperLink: nginx, under the name that is the default.
    """
    base = _made("base", [debian_release()], [], progress)
    proxy = _made("proxy", [f"{PROXY_REPOSITORY}:{PROXY_TAG}"], [base], progress)
    return _made("flower", [release], [proxy], progress)


def torch_images(release: str, progress: Progress = print) -> Path:
    """Return Flower's images of a release, and ``torch/superexec`` with Debian's CPU build of torch."""
    return _made("torch", [release, debian_release()], [flower_images(release, progress)], progress)


def app_image(
    release: str,
    requirements: Sequence[str],
    name: str,
    *,
    app: Path | None = None,
    target: str = "/app/app",
    progress: Progress = print,
) -> Path:
    """Return an app's image: Flower's SuperExec of that release with the app's requirements.

    Parameters
    ----------
    release : str
        An exact Flower release, such as ``1.42.0``.
    requirements : sequence of str
        What to install besides, such as ``scikit-learn``; Flower itself is there.
    name : str
        What the image is called, with its tag; the registry in it may be any.
    app : Path or None
        An app folder to bring along ("baked").
    target : str
        Where in the image it goes.
    progress : callable
        Is told what happens.
    """
    code = [str(app) if app else "", target if app else ""]
    arguments = [release, name, json.dumps(sorted(requirements)), *code]
    return _made("app", arguments, [flower_images(release, progress)], progress, content=_content(app))


def _made(
    recipe: str,
    arguments: list[str],
    ingredients: list[Path],
    progress: Progress,
    *,
    content: str = "",
) -> Path:
    inputs = [recipe, *arguments, *(ingredient.name for ingredient in ingredients), content]
    key = hashlib.sha256("\0".join([_RECIPES, *inputs]).encode()).hexdigest()[:16]
    what, names = f"images-{recipe}", [] if recipe == "system" else arguments[:2]
    folder = cluster_cache() / f"{what}-{key}"
    if folder.exists():
        return folder
    with locked(cluster_cache() / f"{what}.lock", waiting=lambda: progress(f"waiting for another build of {what}")):
        if folder.exists():
            return folder
        for left in cluster_cache().glob(f".{what}-*"):
            shutil.rmtree(left)  # of a build that was killed: nobody else builds while the lock is ours
        progress(f"making the images of {' '.join([recipe, *names])}, once")
        beside = Path(tempfile.mkdtemp(prefix=f".{what}-", dir=cluster_cache()))
        try:
            for ingredient in ingredients:
                add_images(ingredient, beside / "images")
            _cook(recipe, beside, arguments)
            (beside / "images").rename(folder)
        finally:
            shutil.rmtree(beside)
    return folder


def _cook(recipe: str, folder: Path, arguments: list[str]) -> None:
    """Run a recipe in namespaces that end with it, or with us: no mount and no process can be left."""
    namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"]
    command = ["setpriv", "--pdeathsig", "KILL", "nice", "-n", "10", *namespaces]
    done = subprocess.run(
        [*command, sys.executable, "-m", "cluster.recipes", recipe, str(folder), *arguments],
        env={**os.environ, "PATH": SEARCH_PATH, "PYTHONPATH": str(_HERE.parent)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BuildFailed(f"the images of the recipe {recipe!r} could not be made:\n{done.stderr.strip()[-3000:]}")


def _content(folder: Path | None) -> str:
    """Hash an app folder's files."""
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")) if folder else []:
        if file.is_file():
            digest.update(f"{file.relative_to(folder or file)}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest() if folder else ""
