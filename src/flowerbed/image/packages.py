"""An app's packages as the files of a layer: wheels alone, installed by uv for the image's Python and platform.

Nothing of the image is run for that, so it works for any platform. What cannot be had as a wheel would have to be
compiled, for which there is no place here.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from flowerbed.environments.app_lock import Package
from flowerbed.environments.cache import Progress
from flowerbed.environments.requirements import places
from flowerbed.environments.solving import write_project
from flowerbed.environments.uv import uv
from flowerbed.environments.uv_errors import explain, yanked
from flowerbed.image.base import Base
from flowerbed.image.layers import Entry, removal, tree

_OURS = ".building"
_RECORD = "RECORD"
_LINK_PROOF = 256  # bytes; the first line of a script that uv writes for a Python with a long path is longer


def install(
    packages: Sequence[Package],
    base: Base,
    architecture: str,
    settings: Mapping[str, Any],
    folder: Path,
    *,
    where: str,
    progress: Progress,
) -> list[str]:
    """Install packages below a folder as they lie in the image; return those that their publishers took back.

    Parameters
    ----------
    packages : sequence of Package
        Which.
    base : Base
        What they are installed for.
    architecture : str
        ``amd64``, ``arm64``.
    settings : mapping
        The app's own settings for uv: where packages come from.
    folder : Path
        The image's root.
    where : str
        The app's pyproject.toml, for messages.
    progress : callable
        Is told what uv says.

    Raises
    ------
    EnvironmentFailed
        With uv's reason: no wheel, no network, another hash, no space.
    """
    work = folder / _OURS
    write_project(work, [], places(settings), {})
    doing = "installing the app's packages for the image"
    requirements = work / "requirements.txt"
    requirements.write_text("".join(f"{package.requirement}\n" for package in packages), encoding="utf-8")
    said: list[str] = []
    for arguments in (
        ("venv", "--no-project", "venv"),
        (
            *("pip", "install", "--prefix", "prefix", "--python", "venv/bin/python", "--link-mode", "copy"),
            *("--python-version", base.python, "--python-platform", base.wheels_for(architecture)),
            *("--only-binary", ":all:", "--require-hashes", "--no-deps", "-r", requirements.name),
        ),
    ):
        code, _, lines = uv(*arguments, cwd=work, progress=progress)
        if code != 0:
            raise explain(lines, doing=doing, where=where)
        said += lines
    _settle(work, base, folder)
    shutil.rmtree(work)
    return yanked(said)


def _settle(work: Path, base: Base, folder: Path) -> None:
    """Move what uv installed to where it lies in the image, and have its scripts start the image's Python."""
    prefix = work / "prefix"
    [site] = prefix.glob("lib*/python*/site-packages")
    _adapt_scripts(prefix / "bin", site, old=str(work / "venv"), new=f"/{base.prefix}")
    target = folder / base.site_packages
    target.parent.mkdir(parents=True)
    site.rename(target)
    for other in prefix.iterdir():  # bin, share, etc
        if not re.fullmatch(r"lib\d*|\..*", other.name):
            other.rename(folder / base.prefix / other.name)


def _adapt_scripts(scripts: Path, site: Path, *, old: str, new: str) -> None:
    changed = {}
    for script in scripts.iterdir() if scripts.is_dir() else ():
        content = script.read_bytes()
        adapted = _adapted(content, old, new)
        if adapted != content:
            script.write_bytes(adapted)
            changed[script.name] = adapted
    for record in site.glob(f"*.dist-info/{_RECORD}"):
        rows = list(csv.reader(io.StringIO(record.read_text(encoding="utf-8"), newline="")))
        ours = [row for row in rows if row and "/bin/" in row[0] and row[0].rpartition("/")[2] in changed]
        for row in ours:
            content = changed[row[0].rpartition("/")[2]]
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
            row[1:] = [f"sha256={digest}", str(len(content))]
        if ours:
            with record.open("w", encoding="utf-8", newline="") as file:
                csv.writer(file, lineterminator="\n").writerows(rows)


def _adapted(content: bytes, old: str, new: str) -> bytes:
    """Return a script that starts another Python: by one first line, or by two where that is too long for a kernel."""
    head = content[: len(old) + _LINK_PROOF]
    if not head.startswith(b"#!") or old.encode() not in head:
        return content
    lines = content.split(b"\n", 3)
    rest = lines[3] if lines[0] == b"#!/bin/sh" else b"\n".join(lines[1:])
    return f"#!{new}/bin/python\n".encode() + rest


def removed(packages: Iterable[Package], base: Base, folder: Path) -> list[str]:
    """Return what has to go of packages that the base has in another version: their files that the new ones lack.

    Parameters
    ----------
    packages : iterable of Package
        What was installed.
    base : Base
        What it was installed for.
    folder : Path
        Where it was installed, as the image's root.
    """
    old = [base.packages[one.name] for one in packages if one.name in base.packages]
    paths = {path for one in old for path in one.files if not path.endswith(".pyc")}  # nobody asks for those alone
    return sorted(path for path in paths if not (folder / path).exists())


def entries(folder: Path, base: Base, gone: Iterable[str]) -> Iterator[Entry]:
    """Yield the layer: all files, and the removal of others; not the folders that the base has for sure."""
    above = {base.site_packages, *map(str, Path(base.site_packages).parents), f"{base.prefix}/bin"}
    for entry in tree(folder):
        if not (entry.folder and entry.path in above):
            yield entry
    yield from map(removal, gone)
