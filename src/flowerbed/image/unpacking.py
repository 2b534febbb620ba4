"""The layers of a base, read once: what is of interest in them, and their files in a folder to try an image in."""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from flowerbed.image.base import LARGEST, Found, interesting
from flowerbed.image.layers import OPAQUE, WHITEOUT, opened

Blob = tuple[Path, str]
"""A layer's file and its media type."""


def files_of_interest(layers: Sequence[Blob]) -> Iterator[Iterator[tuple[str, Found | None]]]:
    """Yield what `flowerbed.image.base.gather` takes: each layer's paths, with the files that say something."""
    for file, media_type in layers:
        yield _layer(file, media_type)


def _layer(file: Path, media_type: str) -> Iterator[tuple[str, Found | None]]:
    with opened(file, media_type) as archive:
        for member in archive:
            path = _place(member.name)
            if path.rpartition("/")[2].startswith(WHITEOUT):
                yield path, None
            elif member.isfile() and member.size <= LARGEST and interesting(path):
                content = archive.extractfile(member)
                yield path, Found(content.read() if content else b"", (member.uid, member.gid))
            elif interesting(path):  # a link: that it is there says enough
                yield path, Found(b"", (member.uid, member.gid))


def unpack(layers: Sequence[Blob], folder: Path) -> None:
    """Write the files of all layers into a folder, as far as this user may: owners and devices only for root."""
    for file, media_type in layers:
        with opened(file, media_type) as archive:
            for member in archive:
                _extract(archive, member, folder)


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    path = _place(member.name)
    parent, _, name = path.rpartition("/")
    if not name or not _inside(folder, parent):
        return
    target = folder / path
    if name == OPAQUE:
        for below in list(os.scandir(folder / parent)) if (folder / parent).is_dir() else []:
            _remove(Path(below.path))
        return
    if name.startswith(WHITEOUT):
        _remove(folder / parent / name.removeprefix(WHITEOUT))
        return
    if member.isdir() and target.is_dir() and not target.is_symlink():
        return
    if member.ischr() or member.isblk() or member.isfifo():
        return
    _remove(target)
    member.name = path
    if member.islnk():
        member.linkname = _place(member.linkname)
        if not _inside(folder, member.linkname.rpartition("/")[0]):
            return
    member.mode |= 0o700 if member.isdir() else 0o400  # an ordinary user has to get in, and to remove it again
    with suppress(KeyError):  # a hard link to what an upper layer removed
        archive.extract(member, folder, set_attrs=not member.issym(), numeric_owner=True, filter="fully_trusted")


def _place(name: str) -> str:
    """Return a member's path without what leads nowhere, or out of the folder."""
    return "/".join(part for part in name.split("/") if part not in ("", ".", ".."))


def _inside(folder: Path, parent: str) -> bool:
    """Tell whether a path leads to a place inside the folder, also by way of the links that are there."""
    place = folder
    for part in parent.split("/"):
        place = place / part
        if place.is_symlink() and not place.resolve().is_relative_to(folder.resolve()):
            return False
    return True


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
