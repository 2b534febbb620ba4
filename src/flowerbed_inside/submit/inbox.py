"""Receiving a folder in a stream, whole or not at all, and nothing outside of it.

Standard library only.
"""

from __future__ import annotations

import contextlib
import hashlib
import tarfile
import tempfile
from pathlib import Path, PurePosixPath
from typing import IO, cast


class NotReceivedError(Exception):
    """What came is no app."""


class _Counted:
    """A stream of so many bytes out of another, which is not read beyond them."""

    def __init__(self, source: IO[bytes], size: int) -> None:
        self._source = source
        self.left = size
        self.sha256 = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Read."""
        data = self._source.read(self.left if size < 0 else min(size, self.left))
        self.left -= len(data)
        self.sha256.update(data)
        return data

    def drain(self) -> None:
        """Read what is left, so that who writes it is not stuck.

        Raises
        ------
        NotReceivedError
            If it ends too soon.
        """
        while self.left:
            if not self.read(2**20):
                raise NotReceivedError(f"the app's last {self.left} bytes did not come")


def receive(source: IO[bytes], folder: Path) -> None:
    """Unpack what comes in a stream; the folder appears when all of it is there.

    Raises
    ------
    NotReceivedError
        If it is not what it should be, or a different app came before.
    """
    header = source.readline(32)
    if not header.strip().isdigit():
        raise NotReceivedError(f"the first line is {header!r} and no number of bytes")
    counted = _Counted(source, int(header))
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as beside:
        unpacked = Path(beside) / "app"
        unpacked.mkdir()
        try:
            if not folder.exists():
                _unpack(counted, unpacked)
        except Exception as error:
            with contextlib.suppress(NotReceivedError):
                counted.drain()
            raise NotReceivedError(f"the app cannot be unpacked: {error}") from error
        counted.drain()
        _put(unpacked, folder, counted.sha256.hexdigest())


def _unpack(source: _Counted, folder: Path) -> None:
    with tarfile.open(fileobj=cast("IO[bytes]", source), mode="r|gz") as archive:
        if hasattr(tarfile, "data_filter"):
            archive.extractall(folder, filter=_within)  # noqa: S202 - with a filter
            return
        for member in archive:  # Python before 3.11.4, such as Debian 12's
            archive.extract(_plain(member), folder, set_attrs=False)


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Refuse all but files, folders, and links that cannot lead out, whatever lies on their way."""
    named = PurePosixPath(member.name)
    if named.is_absolute() or ".." in named.parts:
        raise NotReceivedError(f"{member.name!r} is outside of the app's folder")
    if member.issym() or member.islnk():
        target = PurePosixPath(member.linkname)
        if target.is_absolute() or ".." in target.parts:
            raise NotReceivedError(f"{member.name!r} points at {member.linkname!r}, which may be outside of the folder")
    elif not (member.isfile() or member.isdir()):
        raise NotReceivedError(f"{member.name!r} is neither a file nor a folder")
    return member


def _within(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo | None:
    """Refuse what leaves the folder, by its name or by where it points; and what `tarfile` refuses."""
    named = PurePosixPath(member.name)
    if named.is_absolute() or ".." in named.parts:
        raise NotReceivedError(f"{member.name!r} is outside of the app's folder")
    if member.issym() or member.islnk():
        start = named.parent if member.issym() else PurePosixPath()
        if not _stays_within(start / member.linkname):
            raise NotReceivedError(f"{member.name!r} points out of the app's folder, at {member.linkname!r}")
    return tarfile.data_filter(member, folder)


def _stays_within(path: PurePosixPath) -> bool:
    depth = 0
    for part in path.parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            return False
    return not path.is_absolute()


def _put(unpacked: Path, folder: Path, sha256: str) -> None:
    """Move the app into its place, or see that it is the one that is there."""
    mark = folder.with_name(f".{folder.name}.sha256")
    if not folder.exists():
        mark.write_text(sha256)
        with contextlib.suppress(OSError):  # another was quicker
            unpacked.rename(folder)
            return
    if not mark.exists() or mark.read_text() != sha256:
        raise NotReceivedError(f"another app is at {folder} already")
