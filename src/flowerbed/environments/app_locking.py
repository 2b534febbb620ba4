"""Solving an app's packages once for every machine, with hashes: how an `AppLock` comes to be."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from flowerbed.environments import requirements as reading
from flowerbed.environments.app_lock import THE_APP, AppLock, Asked, Package
from flowerbed.environments.cache import Progress, cache_root, scratch, silent, writable
from flowerbed.environments.python import allows
from flowerbed.environments.requirements import Wanted
from flowerbed.environments.solving import text_of, unsolved, write_project
from flowerbed.environments.uv import uv
from flowerbed.environments.uv_errors import PLACEHOLDER
from flowerbed.errors import AppError

_BY_COMMIT = re.compile(r"^(git|hg|svn|bzr)\+")
_LOCK = "requirements.txt"


def lock(
    asked: Asked, pythons: Collection[str], before: AppLock | None = None, *, progress: Progress = silent
) -> AppLock:
    """Solve an app's packages for all platforms and Pythons.

    Parameters
    ----------
    asked : Asked
        What the lock has to hold.
    pythons : collection of str
        The minor versions of Python that the Flower release is offered on.
    before : AppLock or None
        Versions that stay as they are where they still fit.
    progress : callable
        Is told what uv says.

    Raises
    ------
    AppError
        If the app allows none of the Pythons, or asks for something that a lock cannot hold: a folder, a commit.
    EnvironmentFailed
        With uv's reason.
    """
    oldest = _oldest(asked, pythons)
    _check_reproducible(asked.wanted, asked.where)
    doing = f"locking the app's packages with Flower {asked.release}"
    with writable(cache_root()), scratch() as folder:
        flwr = f"{reading.FLWR}=={asked.release}"
        write_project(folder, [*asked.wanted.requirements, flwr], asked.wanted.settings, {})
        if before is not None:
            known = "".join(f"{one.requirement}\n" for one in before.packages)
            (folder / _LOCK).write_text(known, encoding="utf-8")
        progress(doing)
        code, _, lines = uv(
            *("pip", "compile", "--quiet", "--universal", "--python-version", oldest, "--generate-hashes"),
            *("--no-header", "--no-emit-index-url", "--no-emit-find-links", "--annotation-style", "split"),
            *("pyproject.toml", "--output-file", _LOCK),
            cwd=folder,
            progress=progress,
        )
        if code != 0:
            raise unsolved(lines, doing=doing, where=asked.where)
        text = (folder / _LOCK).read_text(encoding="utf-8")
    return AppLock(asked.release, oldest, asked.digest, tuple(_packages(text)))


def _oldest(asked: Asked, pythons: Collection[str]) -> str:
    offered = sorted(pythons, key=lambda minor: [int(part) for part in minor.split(".")])
    for minor in offered:
        if allows(asked.requires_python, minor):
            return minor
    raise AppError(
        f"the app needs Python {asked.requires_python}, and Flower {asked.release} runs on {', '.join(offered)}",
        where=reading.place_of("requires-python", text_of(asked.where), asked.where),
    )


def _packages(text: str) -> Iterator[Package]:
    """Yield what uv's output says: each package on a line, its hashes and who asks for it indented below."""
    for block in re.split(r"\n(?=\S)", text.strip()):
        first, *rest = (line.strip().removesuffix("\\").strip() for line in block.splitlines())
        if not first:
            continue
        requirement = Requirement(first)
        hashes = tuple(line.removeprefix("--hash=") for line in rest if line.startswith("--hash="))
        askers = [re.sub(r"^#\s*(via)?\s*", "", line) for line in rest if line.startswith("#")]
        via = sorted({_asker(one) for one in askers if one})
        [version] = [one.version for one in requirement.specifier]
        marker = str(requirement.marker or "")
        yield Package(canonicalize_name(requirement.name), version, tuple(sorted(hashes)), marker, tuple(via))


def _asker(text: str) -> str:
    name = text.split(" ")[0].split("[")[0]
    return THE_APP if name == PLACEHOLDER else canonicalize_name(name)


def _check_reproducible(wanted: Wanted, where: str) -> None:
    """Refuse what no index has: another machine could not get the same."""
    for name, path in sorted(wanted.paths.items()):
        raise AppError(
            f"the app's dependency {name!r} lies in {path!r}, on this machine: others could not get the same",
            where=where,
            hint="Publish it to an index, or move its code into the app.",
        )
    sources = wanted.settings.get("sources", {})
    by_commit = {name for name, source in sources.items() if isinstance(source, dict) and "git" in source}
    for text in wanted.requirements:
        requirement = Requirement(text)
        if requirement.name in by_commit or (requirement.url and _BY_COMMIT.match(requirement.url)):
            raise AppError(
                f"the app's dependency {requirement.name!r} is a commit: it has to be built, and what comes of that has"
                " no hash that could be checked elsewhere",
                where=where,
                hint="Build a wheel of it once and publish that to an index of yours.",
            )
        if requirement.url:
            raise AppError(
                f"the app's dependency {requirement.name!r} comes from an address of its own, which is not locked",
                where=where,
                hint="Put the file on an index, or in a folder that UV_FIND_LINKS names.",
            )
