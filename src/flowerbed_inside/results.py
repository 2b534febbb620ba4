"""What a run's ServerApp has saved: told, and packed to be fetched. Standard library only.

::

    results list FOLDER
    results pack FOLDER NAME …

The first prints one JSON object; the second writes an archive (tar, uncompressed) of the named files to standard
output. A link to a file of the same folder counts as that file. What is no file of the folder is left out and named:
links that lead out of it, devices, pipes, sockets.
"""

from __future__ import annotations

import json
import os
import stat
import sys
import tarfile
from collections.abc import Iterator
from typing import IO

PIECE_BYTES = 2**20

File = tuple[str, int, float]
"""A file's name below the folder, its bytes, and when it changed last (Unix time)."""

LeftOut = tuple[str, str]
"""What is no file of the folder, and why."""

_KINDS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def look(folder: str) -> tuple[list[File], list[LeftOut]]:
    """Return the files of a folder, in the order of their names, and what is left out; nothing if it is not there."""
    files: list[File] = []
    left_out: list[LeftOut] = []
    for name in _names(folder):
        path = os.path.join(folder, name)  # noqa: PTH118 - as all here: paths stay texts
        why = _why_not(folder, path)
        if not _is_text(name):
            left_out.append((os.fsencode(name).decode("utf-8", "backslashreplace"), "its name is no UTF-8"))
        elif why:
            left_out.append((name, why))
        else:
            try:
                status = os.stat(path)  # noqa: PTH116
            except OSError:  # it has just been removed
                continue
            files.append((name, status.st_size, status.st_mtime))
    return sorted(files), sorted(left_out)


def _names(folder: str) -> Iterator[str]:
    """Give everything below a folder that is no folder itself, links to folders included."""
    for place, folders, files in os.walk(folder):
        links = [one for one in folders if os.path.islink(os.path.join(place, one))]  # noqa: PTH114, PTH118
        for one in (*files, *links):
            yield os.path.relpath(os.path.join(place, one), folder)  # noqa: PTH118


def _why_not(folder: str, path: str) -> str:
    """Return why something is left out; empty for a file."""
    try:
        if os.path.islink(path):  # noqa: PTH114
            inside = os.path.realpath(folder)
            target = os.path.realpath(path)
            if os.path.commonpath([inside, target]) != inside:
                return "a link that leads out of the folder"
            if os.path.isdir(target):  # noqa: PTH112
                return "a link to another folder of these results"
        mode = os.stat(path).st_mode  # noqa: PTH116
    except OSError as error:
        return "a link to nothing" if os.path.islink(path) else f"it cannot be read: {error.strerror}"  # noqa: PTH114
    if stat.S_ISREG(mode):
        return ""
    return next((kind for test, kind in _KINDS if test(mode)), "no file")


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def pack(folder: str, names: list[str], out: IO[bytes]) -> None:
    """Write an archive of some files of a folder, each as it is when its turn comes."""
    with tarfile.open(fileobj=out, mode="w|", bufsize=PIECE_BYTES, format=tarfile.PAX_FORMAT) as archive:
        for name in names:
            path = os.path.join(folder, name)  # noqa: PTH118
            if why := _why_not(folder, path):
                raise OSError(f"{name}: {why}")
            with open(path, "rb") as file:  # noqa: PTH123
                status = os.fstat(file.fileno())
                entry = tarfile.TarInfo(name)
                entry.size, entry.mtime, entry.mode = status.st_size, status.st_mtime, 0o644
                archive.addfile(entry, file)


def main() -> int:
    """List or pack."""
    what, folder, *names = sys.argv[1:]
    if what == "list":
        files, left_out = look(folder)
        print(json.dumps({"files": files, "left_out": left_out}))
        return 0
    try:
        pack(folder, names, sys.stdout.buffer)
    except OSError as error:
        print(error, file=sys.stderr)
        return 1
    return 0
