"""Getting a blob of any size from a registry into a file, all of it or nothing."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from flowerbed.errors import RegistryError, RegistryUnreachable
from flowerbed.registry.connections import Connections
from flowerbed.registry.patience import Tries
from flowerbed.registry.reference import Reference
from flowerbed.registry.refusals import refused

Progress = Callable[[int], None]
"""Is told how many bytes it went forward; less than none where it has to begin again."""

_FULL = (errno.ENOSPC, errno.EDQUOT)


def silent(_: int) -> None:
    """Show progress to nobody."""


def pull_blob(
    registries: Connections, name: str, digest: str, size: int, to: Path, progress: Progress = silent
) -> None:
    """Write a blob into a file, which is there only once the whole blob is in it.

    Parameters
    ----------
    registries : Connections
        Where it is asked for.
    name : str
        The image that it is part of.
    digest : str
        Which.
    size : int
        How many bytes it has.
    to : Path
        The file. What is in it is written beside it first.
    progress : callable
        Is told of each step.

    Raises
    ------
    RegistryError
        If it is not there, may not be read, is not what its digest says, or there is no place for it.
    """
    beside = to.with_name(f".{to.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            _Download(registries, name, digest, size, file, progress).run()
            file.flush()
            os.fsync(file.fileno())
        beside.rename(to)
    except OSError as error:
        full = error.errno in _FULL
        raise RegistryError(
            f"there is no space left for {size} bytes of {name}" if full else f"cannot be written: {error.strerror}",
            where=str(to.parent if full else to),
            hint="Make room there." if full else None,
        ) from error
    finally:
        beside.unlink(missing_ok=True)


class _Download:
    def __init__(
        self, registries: Connections, name: str, digest: str, size: int, file: BinaryIO, progress: Progress
    ) -> None:
        self._registries, self._name, self._digest, self._size = registries, name, digest, size
        self._file, self._progress = file, progress
        self._place = Reference.parse(name)
        self._hashed, self._have = hashlib.sha256(), 0

    def run(self) -> None:
        tries, furthest = Tries(), 0
        while True:
            began = self._have
            try:
                self._receive()
            except RegistryUnreachable as error:
                if self._have > furthest:
                    furthest = self._have
                    tries.went_on()
                tries.again(error)
                continue
            if f"sha256:{self._hashed.hexdigest()}" == self._digest:
                return
            wrong = RegistryError(
                f"{self._place.host} answers with something else than {self._digest}", where=self._name
            )
            if not began:
                raise wrong
            self._start_over()  # the two halves may be of two things; in one piece it may be right
            tries.again(wrong)

    def _receive(self) -> None:
        # What is stored is what is hashed: a layer that was compressed for the way would not be.
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={self._have}-"} if self._have else {})
        url = self._place.url(f"blobs/{self._digest}")
        with self._registries.stream("GET", url, self._name, headers=headers) as answer:
            if answer.status_code == 404:
                raise RegistryError(f"{self._place.host} does not have {self._digest}", where=self._name)
            if answer.status_code not in (200, 206):
                answer.read()
                raise refused(answer, self._place, self._name)
            if not answer.headers.get("Content-Range", "").startswith(f"bytes {self._have}-"):
                self._start_over()
            for piece in answer.iter_raw():
                self._take(piece)
        if self._have < self._size:
            raise RegistryUnreachable(
                f"{self._place.host} breaks off after {self._have} of {self._size} bytes", where=self._name
            )

    def _take(self, piece: bytes) -> None:
        if self._have + len(piece) > self._size:
            raise RegistryError(
                f"{self._place.host} answers with more than the {self._size} bytes of {self._digest}", where=self._name
            )
        self._file.write(piece)
        self._hashed.update(piece)
        self._have += len(piece)
        self._progress(len(piece))

    def _start_over(self) -> None:
        if self._have:
            self._progress(-self._have)
        self._file.seek(0)
        self._file.truncate()
        self._hashed, self._have = hashlib.sha256(), 0
