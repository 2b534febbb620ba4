"""A kit as a tar file that only its owner may read."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path, PurePosixPath

from flowerbed.sites.kit import File
from flowerbed.trust import files
from flowerbed.trust.files import PRIVATE_FILE, PRIVATE_FOLDER


def write(path: Path, folder: str, kit: Mapping[str, File], *, now: datetime) -> None:
    """Write a kit, whole or not at all; what lay there before is replaced.

    Raises
    ------
    TrustError
        If it cannot be written.
    """
    files.write(path, archive(folder, kit, now=now))


def archive(folder: str, kit: Mapping[str, File], *, now: datetime) -> bytes:
    """Return a tar file with everything in one folder: nobody but its owner may read what it unpacks to."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in _folders(folder, kit):
            tar.addfile(_entry(name, tarfile.DIRTYPE, PRIVATE_FOLDER, now))
        for name, file in kit.items():
            entry = _entry(
                f"{folder}/{name}", tarfile.REGTYPE, PRIVATE_FOLDER if file.executable else PRIVATE_FILE, now
            )
            entry.size = len(file.content)
            tar.addfile(entry, io.BytesIO(file.content))
    return buffer.getvalue()


def _folders(folder: str, kit: Mapping[str, File]) -> list[str]:
    parents = {str(parent) for name in kit for parent in PurePosixPath(folder, name).parents}
    return sorted(parents - {"."})


def _entry(name: str, kind: bytes, mode: int, now: datetime) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.mtime = kind, mode, int(now.timestamp())
    return entry
