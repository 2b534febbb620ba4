"""Layers of images, written byte for byte the same wherever they are written, and read whoever wrote them.

A layer is a tar file (github.com/opencontainers/image-spec, layer.md). In ours the order, the times, the owners and the
modes of files are fixed, and it is compressed with zstd, of one version: the bytes that zlib makes of the same input
differ from machine to machine.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

try:
    from compression import zstd  # type: ignore[import-not-found,unused-ignore]  # Python 3.14 and newer
except ImportError:
    from backports import zstd

from flowerbed.errors import ImageFailed

__all__ = ["Entry", "Layer", "opened", "removal", "tree", "write", "zstd"]

ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
PLAIN = "application/vnd.oci.image.layer.v1.tar"
OF_DOCKER = {
    "application/vnd.docker.image.rootfs.diff.tar.gzip": GZIP,
    "application/vnd.docker.image.rootfs.diff.tar.zstd": ZSTD,
    "application/vnd.docker.image.rootfs.diff.tar": PLAIN,
}
"""What Docker calls the same: the one with zstd where it keeps its images in containerd."""

_STARTS = {b"\x28\xb5\x2f\xfd": ZSTD, b"\x1f\x8b": GZIP}
"""How what is compressed begins."""

WRITER = f"1 zstd {'.'.join(map(str, zstd.zstd_version_info))}"
"""Of what the bytes of a layer depend beside its content."""

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
_LEVEL = 6
_BLOCK = 2**20


@dataclass(frozen=True)
class Entry:
    """One file, folder or link of a layer.

    Parameters
    ----------
    path : str
        Where in the image, without a slash before it.
    content : bytes, Path or None
        A file's; None for folders and links.
    mode : int
        Its permissions; those of folders and links do not count.
    link : str
        Where a link leads.
    folder : bool
        Whether it is a folder.
    """

    path: str
    content: bytes | Path | None = None
    mode: int = 0o644
    link: str = ""
    folder: bool = False


@dataclass(frozen=True)
class Layer:
    """A layer that was written.

    Parameters
    ----------
    digest, diff_id : str
        ``sha256:…`` of it as it is, and unpacked.
    size : int
        Bytes, as it is.
    """

    digest: str
    diff_id: str
    size: int

    @property
    def descriptor(self) -> dict[str, Any]:
        """How a manifest names it."""
        return {"mediaType": ZSTD, "digest": self.digest, "size": self.size}


def removal(path: str) -> Entry:
    """Return what takes a file of the layers below away."""
    parent, slash, name = path.rpartition("/")
    return Entry(f"{parent}{slash}{WHITEOUT}{name}", b"")


def tree(folder: Path, at: str = "") -> Iterator[Entry]:
    """Yield everything below a folder, as it shall lie at a place in the image."""
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        path = f"{at}/{entry.name}" if at else entry.name
        if entry.is_symlink():
            yield Entry(path, link=str(Path(entry.path).readlink()))
        elif entry.is_dir():
            yield Entry(path, folder=True)
            yield from tree(Path(entry.path), path)
        elif entry.is_file():
            executable = entry.stat().st_mode & 0o100
            yield Entry(path, Path(entry.path), mode=0o755 if executable else 0o644)


def write(entries: Iterable[Entry], to: Path, *, owner: tuple[int, int]) -> Layer:
    """Write a layer; memory does not grow with it.

    Parameters
    ----------
    entries : iterable of Entry
        What is in it; the order does not count.
    to : Path
        The file.
    owner : tuple of int
        User and group of everything in it.
    """
    with to.open("wb") as file:
        below = _Hashing(file)
        compressed = zstd.ZstdFile(below, "wb", level=_LEVEL)
        above = _Hashing(compressed)
        with compressed, tarfile.open(fileobj=above, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for entry in sorted(entries, key=lambda entry: entry.path.encode()):
                _add(archive, entry, owner)
    return Layer(below.digest, above.digest, below.size)


def _add(archive: tarfile.TarFile, entry: Entry, owner: tuple[int, int]) -> None:
    info = tarfile.TarInfo(entry.path)
    info.uid, info.gid = owner
    if entry.link:
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, entry.link, 0o777
        archive.addfile(info)
    elif entry.folder:
        info.type, info.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(info)
    else:
        info.mode = entry.mode
        if isinstance(entry.content, Path):
            with entry.content.open("rb") as file:
                info.size = os.fstat(file.fileno()).st_size
                archive.addfile(info, file)
        else:
            content = entry.content or b""
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


class _Hashing(io.RawIOBase):
    """Passes on what is written, and knows its size and hash."""

    def __init__(self, below: Any) -> None:
        super().__init__()
        self._below = below
        self._hash = hashlib.sha256()
        self.size = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:  # tarfile asks where it is
        return self.size

    def write(self, data: Any) -> int:
        self._hash.update(data)
        self._below.write(data)
        self.size += len(data)
        return len(data)

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"


@contextmanager
def opened(file: Path, media_type: str) -> Iterator[tarfile.TarFile]:
    """Open a layer of any kind, to be read once from the beginning to the end.

    Raises
    ------
    ImageFailed
        If it is of a kind that is not known, or damaged.
    """
    try:
        with _unpacked(file, media_type) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            yield archive
    except (tarfile.TarError, zstd.ZstdError, gzip.BadGzipFile, EOFError) as error:
        raise ImageFailed(f"a layer of the base image is damaged: {error}", where=file.name) from error


@contextmanager
def _unpacked(file: Path, media_type: str) -> Iterator[IO[bytes]]:
    kind = OF_DOCKER.get(media_type, media_type)
    if kind not in (ZSTD, GZIP, PLAIN):
        raise ImageFailed(f"a layer of the base image is of a kind that is not known: {media_type}", where=file.name)
    with file.open("rb", buffering=_BLOCK) as raw:
        # As container runtimes do: Docker pushes an image whose base's layers are there with zstd, and says gzip.
        start = raw.read(4)
        raw.seek(0)
        kind = next((found for begin, found in _STARTS.items() if start.startswith(begin)), kind)
        if kind == ZSTD:
            with zstd.ZstdFile(raw, "rb") as stream:
                yield stream
        elif kind == GZIP:
            with gzip.open(raw, "rb") as stream:
                yield stream  # type: ignore[misc]
        else:
            yield raw
