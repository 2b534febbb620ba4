"""A recipe for container engines: what `flowerbed build` does, as a Containerfile that others can build. Pure.

The recipe is a folder that is a build context of its own: the Containerfile, the packages with their hashes, and a
copy of the app's files in ``app/``. With the app's own folder as the context, the list of packages would have to lie in
it and would go into the image, for documents in a Containerfile are too new for Buildah 1.28 (Debian 12); and engines
read their ignore files in other ways than a ``.flowerbedignore`` is read. What is not copied cannot get into the image.

Packages are fetched, checked and built in a stage that is left behind, so the image has no compiler, no wheels, and
nothing of an index: its address and its certificate are secrets of the build.

Buildah and Podman, also today's, take the step that installs from their cache though the stage that it installs from
has changed (containers/buildah#6609); and before 1.29 they show it a stage that is in the cache as that was before its
last instruction (#4375). So a mark that is made of all that the first stage depends on stands in both stages: a change
changes the second, which makes sure that it is there; and the first one's last instruction does nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from packaging.utils import canonicalize_name

from flowerbed.environments.app_lock import Package
from flowerbed.image.app_files import NEVER
from flowerbed.image.base import markers
from flowerbed.image.manifest import APP_USER
from flowerbed.image.recipe import APP_FOLDER, Recipe, labels_of
from flowerbed.registry.reference import Reference

CONTAINERFILE, REQUIREMENTS, IGNORE = "Containerfile", "requirements.txt", ".dockerignore"
"""The recipe's files beside the app; Buildah and Podman read a .dockerignore as well."""

PIP_SECRET, CA_SECRET = "pip.conf", "ca.crt"
"""The secrets of a build: pip's settings, and the certificates to trust an index by. Both may be left out."""

ARCHITECTURES = ("amd64", "arm64")

_CA = f"/run/secrets/{CA_SECRET}"
_COMPILER = "build-essential"
_PIP = "python -m pip --no-cache-dir --disable-pip-version-check"
_AS_NEW = "PIP_USE_PEP517=1"
"""Has an older pip build as newer ones do, with what a package says that it needs for it; those ignore the variable."""

_NO_MARK = "The engine does not show the packages that it made: empty its cache, or take one with RUN --mount."

_HEAD = f"""\
# Written by `flowerbed build --containerfile`, which writes it anew: change app.lock or federation.yaml instead.
# This folder is all that a build needs:
#
#   docker buildx build --file {CONTAINERFILE} --tag NAME .
#   podman build --tag NAME .
#   buildah build --layers --tag NAME .
#
# An index of your own and the certificates to trust it by are secrets, of which nothing stays in the image:
#
#   --secret id={PIP_SECRET},src=/etc/pip.conf --secret id={CA_SECRET},src=/etc/ssl/certs/ca-certificates.crt
"""


@dataclass(frozen=True)
class Options:
    """What a recipe says beside the app and its lock.

    Parameters
    ----------
    pythons : tuple of str
        The minor versions of Python that the base may have.
    apt_packages : tuple of str
        Packages of Debian to install, perhaps with ``=version``.
    compiler : bool
        Whether packages may have to be compiled.
    """

    pythons: tuple[str, ...]
    apt_packages: tuple[str, ...] = ()
    compiler: bool = False


def texts(recipe: Recipe, base_name: str, base_digest: str, options: Options) -> dict[str, str]:
    """Return the files of a recipe beside the app's own, by name.

    Parameters
    ----------
    recipe : Recipe
        What the image is made of.
    base_name, base_digest : str
        The image that it is built on.
    options : Options
        The rest.
    """
    return {
        CONTAINERFILE: containerfile(recipe, base_name, base_digest, options),
        REQUIREMENTS: requirements(recipe, options.pythons),
        IGNORE: ignore_file(),
    }


def containerfile(recipe: Recipe, base_name: str, base_digest: str, options: Options) -> str:
    """Return the Containerfile."""
    base = Reference.parse(base_name)
    start = f"FROM {base.host}/{base.repository}@{base_digest}"
    apt = list(dict.fromkeys(options.apt_packages))
    said = labels_of(recipe, base_name, base_digest)
    tools = [_COMPILER, *apt] if apt or options.compiler else []
    before = [
        f"{start} AS wheels",
        "USER 0:0",
        *([_run(_apt(tools))] if tools else []),
        f"COPY {REQUIREMENTS} /wheels/",
    ]
    mark = _mark(*before, requirements(recipe, options.pythons))
    lines = [
        _HEAD,
        f"# {base_name}",
        *before,
        _run(
            [
                f"python -c '{_check(recipe)}'",
                f"if [ -s {_CA} ]; then export PIP_CERT={_CA}; fi",
                f"{_AS_NEW} {_PIP} wheel --no-deps --require-hashes --wheel-dir /wheels -r /wheels/{REQUIREMENTS}",
                f"touch {mark}",
            ],
            f"type=secret,id={PIP_SECRET},target=/etc/pip.conf",
            f"type=secret,id={CA_SECRET},target={_CA}",
        ),
        "WORKDIR /wheels",
        "",
        start,
        "USER 0:0",
        *([_run([*_apt(apt), "rm -rf /var/lib/apt/lists/* /var/cache/apt/*"])] if apt else []),
        _run(
            [
                f"if [ ! -e {mark} ]; then echo '{_NO_MARK}' >&2; exit 1; fi",
                "set -- /wheels/*.whl",
                f'if [ -e "$1" ]; then {_PIP} install --no-index --no-deps "$@"; fi',
            ],
            "type=bind,from=wheels,source=/wheels,target=/wheels",
        ),
        f"COPY --chown={APP_USER} {APP_FOLDER} /{APP_FOLDER}",
        "LABEL " + " \\\n      ".join(f"{name}={_quoted(value)}" for name, value in said.items()),
        f"USER {APP_USER}",
    ]
    return "\n".join(lines) + "\n"


def requirements(recipe: Recipe, pythons: Iterable[str]) -> str:
    """Return the packages of the app, with hashes and markers, one on a line.

    Flower and what only Flower needs is left out, and so is what the base provides.
    """
    return "".join(f"{one.requirement}\n" for one in packages(recipe, pythons))


def packages(recipe: Recipe, pythons: Iterable[str]) -> list[Package]:
    """Return the packages that the app needs on one platform or another that images are for."""
    environments = [markers(python, architecture) for python in pythons for architecture in ARCHITECTURES]
    return recipe.lock.of_the_app_in_any(environments, recipe.provided)


def with_versions(
    asked: Iterable[str], locked: Mapping[str, Mapping[str, str]], platform: str | None
) -> tuple[str, ...]:
    """Return Debian's packages in the versions that are locked, where the file says none itself.

    Parameters
    ----------
    asked : iterable of str
        ``libgomp1``, ``libgomp1=12.2.0-14``.
    locked : mapping of str to mapping
        Platform → name → version.
    platform : str or None
        ``linux/amd64``; None if it is not known yet: then a version counts if it is the same on all of them.

    Examples
    --------
    >>> with_versions(["git", "libgomp1"], {"linux/amd64": {"libgomp1": "12.2.0-14"}}, "linux/amd64")
    ('git', 'libgomp1=12.2.0-14')
    """
    tables = list(locked.values()) if platform is None else [locked.get(platform, {})]
    found = []
    for text in asked:
        known = {table.get(text) for table in tables}  # one that has a version of its own is no name of a table
        version = known.pop() if len(known) == 1 else None
        found.append(f"{text}={version}" if version else text)
    return tuple(found)


def versions(asked: Iterable[str], installed: Iterable[tuple[str, str, str]]) -> dict[str, str]:
    """Return the versions of Debian's packages that were asked for, as an image has them."""
    there = {name: version for name, version, _ in installed}
    names = {text.partition("=")[0] for text in asked}
    return {name: there[name] for name in sorted(names) if name in there}


def ignore_file() -> str:
    """Return what keeps out of a build what came into the recipe's folder by somebody else's hand."""
    lines = ["*", f"!{REQUIREMENTS}", f"!{APP_FOLDER}"]
    for pattern in NEVER:
        anchored = f"{APP_FOLDER}{pattern}" if pattern.startswith("/") else f"{APP_FOLDER}/**/{pattern}"
        lines.append(anchored.rstrip("/"))
    return "".join(f"{line}\n" for line in lines)


def _mark(*of: str) -> str:
    """Return the name of a file that says which wheels lie beside it."""
    digest = hashlib.sha256("\0".join(of).encode()).hexdigest()
    return f"/wheels/{digest[:16]}"


def _check(recipe: Recipe) -> str:
    """Return a Python program that ends with an error on a base of another Flower, or without what it shall bring."""
    flower = recipe.lock.flower
    provided = [f'version("{name}")' for name in sorted(map(canonicalize_name, recipe.provided))]
    wrong = f'f"the base image has Flower {{found}}, and the app is locked for Flower {flower}"'
    steps = ["import sys", "from importlib.metadata import version", *provided, 'found = version("flwr")']
    return "; ".join([*steps, f'sys.exit(found != "{flower}" and {wrong})'])


def _apt(names: Iterable[str]) -> list[str]:
    return [
        "apt-get update",
        f"DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends {' '.join(names)}",
    ]


def _run(steps: Sequence[str], *mounts: str) -> str:
    """Return an instruction that runs steps, all of which have to succeed."""
    begin = " \\\n    ".join([*(f"--mount={mount}" for mount in mounts), steps[0]])
    return " \\\n && ".join([f"RUN {begin}", *steps[1:]])


def _quoted(value: str) -> str:
    """Return a label's value between quotes, within which engines fill in variables."""
    return '"' + re.sub(r'(["\\$])', r"\\\1", value) + '"'
