"""A container engine builds a recipe, and pushes what it built: Buildah, Podman, or Docker with BuildKit.

The image lies in the engine's own storage. Whom it logs in as at a registry is its own affair, and so is what it keeps
between builds.
"""

from __future__ import annotations

import os
import re
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
_LONG = 240
"""Characters of a line; an instruction is one line, and its error stands behind it."""

_LOAD = ("--output", "type=docker,oci-mediatypes=true")
"""What --load says, in OCI's words: containerd 1.6 does not know Docker's for a layer of the base with zstd."""

_COUNTING = re.compile(r"#\d+ (sha256:\S+ .* / .*|\.\.\.)")
"""How BuildKit counts bytes, many times each second, and says that it goes on with another step."""

_TOLD_TWICE = re.compile(
    r"^------\n > .*?^------\n|^\S+:\d+\n-{20,}\n.*?^-{20,}\n|^#\d+ ERROR: .*?\n", re.DOTALL | re.MULTILINE
)
"""What BuildKit adds to a failure: the end of what the step said, the step itself, and its own last line."""

_STEP = re.compile(r"#\d+ \d+\.\d+ ?")
"""What BuildKit writes before a line of a step: which step, and after how many seconds."""

_FILLS = re.compile(r"#\d+ |Copying (blob|config) |Getting image source |[0-9a-f]{12}: \w+$|[-\s]*$")
"""What tells nothing of a failure."""

_NO_LOGIN = re.compile(
    r"unauthorized|authentication required|no basic auth|access denied|requested access|\b40[13]\b", re.I
)
_NO_VERSION = re.compile(r"E: Version '[^']*' for '(?P<name>[^']*)' was not found")
_NO_COMPILER = re.compile(r"(?=.*(?:not found|No such file))(?=.*\b(?:gcc|cc|g\+\+|c\+\+|clang|make)\b)")


class Engine(StrEnum):
    """What can build a recipe."""

    BUILDAH = "buildah"
    PODMAN = "podman"
    DOCKER = "docker"


def check(engine: Engine) -> None:
    """Make sure that an engine is here, and can build.

    Raises
    ------
    ImageFailed
        If it is not, or if it is Docker without its daemon or without BuildKit.
    """
    others = [other.value for other in Engine if other is not engine and shutil.which(other)]
    instead = f", or say --engine {others[0]}, which is here" if others else ""
    if shutil.which(engine) is None:
        raise ImageFailed(
            f"there is no program {engine} on this machine",
            where="--engine",
            hint=f"Install it{instead}."
            if others
            else "Install it; or write a recipe with --containerfile, and build that elsewhere.",
        )
    if engine is Engine.DOCKER:
        _check_docker(instead)


def _check_docker(instead: str) -> None:
    """Make sure that Docker is Docker, and has what builds: a plug-in and a daemon, each of which may be missing."""
    _, said = _ask("docker", "--version")
    if not said.startswith("Docker version"):
        raise ImageFailed(
            f"the program docker is not Docker's own, but {said or 'one that does not say what it is'}",
            where="--engine",
            hint="If it is Podman by another name, say --engine podman.",
        )
    code, said = _ask("docker", "buildx", "version")
    if code != 0:
        raise ImageFailed(
            f"Docker cannot build with BuildKit here: {said}",
            where="--engine",
            hint=f"Install its plug-in buildx (docker-buildx or docker-buildx-plugin){instead}.",
        )
    code, said = _ask("docker", "version", "--format", "{{.Server.Version}}")
    if code != 0:
        raise ImageFailed(
            f"Docker's daemon does not answer: {said}",
            where="--engine",
            hint=f"Start it, or have yourself added to the group docker{instead}.",
        )


def _ask(*command: str) -> tuple[int, str]:
    """Return how a short command ended, and a line of what it said."""
    code, output, errors = run(command, cwd=Path.cwd(), env=os.environ)
    lines = [line.strip() for line in (*errors, *output.splitlines()) if line.strip()]
    return code, lines[0] if lines else f"it ended with {code}"


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
        Engine.DOCKER: ["docker", "buildx", "build", *_LOAD, "--progress", "plain", "--provenance=false"],
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
        command = build_command(engine, folder, name, platform, base, files)
        _run(engine, command, f"build {name}", base, progress)


def push(engine: Engine, name: str, progress: Progress) -> None:
    """Push an image that an engine has.

    Raises
    ------
    ImageFailed
        With what the engine said last.
    """
    _run(engine, push_command(engine, name), f"push {name}", name, progress)


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


def _run(engine: Engine, command: Sequence[str], doing: str, image: str, progress: Progress) -> None:
    def tell(line: str) -> None:
        if not _COUNTING.match(line):
            progress(_short(line))

    # Engines tell of their steps on one stream or the other, each as it likes.
    code, _, lines = run(
        ["/bin/sh", "-c", 'exec "$@" >&2', "sh", *command], cwd=Path.cwd(), progress=tell, env=os.environ
    )
    if code != 0:
        raise ImageFailed(
            f"{engine} could not {doing}; it ended with {code}\n{_reason(lines)}".rstrip(),
            hint=_hint(engine, lines, Reference.parse(image).host),
        )


def _reason(lines: Sequence[str]) -> str:
    """Return of what an engine said that which tells why it failed: the end, without what only fills it."""
    said = _TOLD_TWICE.sub("", "".join(f"{line}\n" for line in lines)).splitlines()
    telling = [_short(line) for line in (_STEP.sub("", one) for one in said) if not _FILLS.match(line)]
    return "\n".join(telling[-_LAST_LINES:])


def _hint(engine: Engine, lines: Sequence[str], host: str) -> str | None:
    """Return what to do about what an engine said last, if that is known."""
    said = [line for line in lines if line.strip()][-_LAST_LINES * 3 :]
    if said and _NO_LOGIN.search(said[-1]):
        return f"Log in with `{engine} login {host}`, as someone who may. What was built is kept."
    if any(_NO_COMPILER.search(line) for line in said):
        return "Say --compiler; what else it needs to be compiled belongs into spec.app.build.aptPackages."
    if gone := next(filter(None, map(_NO_VERSION.search, said)), None):
        return (
            f"The mirror has {gone['name']} in another version now. `flowerbed build --upgrade` takes that; where"
            " spec.app.build.aptPackages says a version, change it there."
        )
    return None


def _short(line: str) -> str:
    """Return a line without its middle if it is long."""
    return line if len(line) <= _LONG else f"{line[: _LONG // 2]} … {line[-_LONG // 2 :]}"
