"""A container engine builds a recipe, and pushes what it built: Buildah, Podman, or Docker with BuildKit.

The image lies in the engine's own storage. Whom it logs in as at a registry is its own affair, and so is what it keeps
between builds.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path

from flowerbed.environments.cache import Progress, scratch
from flowerbed.environments.uv import run
from flowerbed.errors import ImageFailed
from flowerbed.image import index_settings
from flowerbed.image.containerfile import CA_SECRET, CONTAINERFILE, PIP_SECRET
from flowerbed.registry.reference import Reference, is_loopback

_LAST_LINES = 20


class Engine(StrEnum):
    """What can build a recipe."""

    BUILDAH = "buildah"
    PODMAN = "podman"
    DOCKER = "docker"


def check(engine: Engine) -> None:
    """Make sure that an engine is here.

    Raises
    ------
    ImageFailed
        If it is not.
    """
    if shutil.which(engine) is None:
        others = [other.value for other in Engine if shutil.which(other)]
        raise ImageFailed(
            f"there is no program {engine} on this machine",
            where="--engine",
            hint=f"Install it, or say --engine {others[0]}, which is here."
            if others
            else "Install it; or write a recipe with --containerfile, and build that elsewhere.",
        )


def build_command(
    engine: Engine, folder: Path, name: str, platform: str, base: str, secrets: Mapping[str, Path]
) -> list[str]:
    """Return the command that builds a recipe.

    Parameters
    ----------
    engine : Engine
        By what.
    folder : Path
        The recipe.
    name : str
        What the image is called.
    platform : str
        ``linux/amd64``.
    base : str
        The image that it is built on, which a registry on this machine gives without TLS.
    secrets : mapping of str to Path
        The build's secrets, by their names in the recipe.
    """
    start = {
        Engine.BUILDAH: ["buildah", "build", "--layers", "--format", "oci"],
        Engine.PODMAN: ["podman", "build", "--layers", "--format", "oci"],
        Engine.DOCKER: ["docker", "buildx", "build", "--load", "--progress", "plain", "--provenance=false"],
    }[engine]
    return [
        *start,
        *_insecure(engine, base),
        *("--file", str(folder / CONTAINERFILE), "--tag", name, "--platform", platform),
        *(part for secret, file in secrets.items() for part in ("--secret", f"id={secret},src={file}")),
        str(folder),
    ]


def push_command(engine: Engine, name: str) -> list[str]:
    """Return the command that pushes an image."""
    destination = [f"docker://{name}"] if engine is Engine.BUILDAH else []
    return [engine.value, "push", *_insecure(engine, name), name, *destination]


def build(
    engine: Engine, folder: Path, name: str, platform: str, base: str, secrets: Mapping[str, str], progress: Progress
) -> None:
    """Build a recipe; what the engine says is told as progress.

    Raises
    ------
    ImageFailed
        With what the engine said last.
    """
    with scratch() as place:  # only for this user: `tempfile` makes it so
        files = {}
        for secret, content in secrets.items():
            files[secret] = place / secret
            files[secret].write_text(content, encoding="utf-8")
        _run(build_command(engine, folder, name, platform, base, files), f"build {name}", progress)


def push(engine: Engine, name: str, progress: Progress) -> None:
    """Push an image that an engine has.

    Raises
    ------
    ImageFailed
        With what the engine said last.
    """
    _run(push_command(engine, name), f"push {name}", progress)


def secrets(of_app: Mapping[str, object]) -> dict[str, str]:
    """Return what a build has to know of this machine to get packages, by the names of the recipe's secrets.

    Parameters
    ----------
    of_app : mapping
        The app's own settings for uv.

    Raises
    ------
    ImageFailed
        If the certificates cannot be read.
    """
    of_pip = index_settings.listed()
    found = {PIP_SECRET: index_settings.pip_conf(index_settings.settings(of_pip, os.environ, of_app))}
    trusted = index_settings.certificates(of_pip, os.environ)
    if trusted is not None:
        try:
            found[CA_SECRET] = trusted.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ImageFailed(f"the certificates cannot be read: {error}", where=str(trusted)) from error
    return found


def _insecure(engine: Engine, name: str) -> Sequence[str]:
    """Return what has an engine speak with a registry on this machine; Docker does so by itself."""
    loopback = engine is not Engine.DOCKER and is_loopback(Reference.parse(name).host)
    return ["--tls-verify=false"] if loopback else []


def _run(command: Sequence[str], doing: str, progress: Progress) -> None:
    # Engines tell of their steps on one stream or the other, each as it likes.
    code, _, lines = run(
        ["/bin/sh", "-c", 'exec "$@" >&2', "sh", *command], cwd=Path.cwd(), progress=progress, env=os.environ
    )
    if code != 0:
        said = "\n".join(line for line in lines[-_LAST_LINES:] if line.strip())
        raise ImageFailed(f"{command[0]} could not {doing}; it ended with {code}\n{said}".rstrip())
