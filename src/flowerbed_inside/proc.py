"""What ``/proc`` tells of processes and of their TCP connections (Linux).

Standard library only.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_ESTABLISHED = "01"
_LISTEN = "0A"
Zombie = tuple[int, int, str, int]
_LOCAL, _REMOTE = 1, 2  # columns of /proc/net/tcp


def process_table() -> Iterator[tuple[int, int]]:
    """Return each process but zombies, and its parent."""
    if sys.platform != "linux":
        listing = subprocess.run(["ps", "-axo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
        for line in listing.splitlines():
            pid, of = line.split()
            yield int(pid), int(of)
        return
    for name in os.listdir("/proc"):  # noqa: PTH208 - names only, and many of them
        if not name.isdigit():
            continue
        try:
            stat = Path("/proc", name, "stat").read_bytes()
        except OSError:  # gone between the listing and the reading
            continue
        state, parent = stat[stat.rindex(b")") + 2 :].split()[:2]
        if state != b"Z":
            yield int(name), int(parent)


def children_by_parent() -> dict[int, list[int]]:
    """Return the whole process table as parent → children."""
    table: dict[int, list[int]] = defaultdict(list)
    for pid, parent in process_table():
        table[parent].append(pid)
    return table


def zombies() -> list[Zombie]:
    """Return the processes that have ended and were not asked how: id, parent, name, and wait status where readable."""
    found = []
    for name in os.listdir("/proc"):  # noqa: PTH208 - names only
        if not name.isdigit():
            continue
        try:
            stat = Path("/proc", name, "stat").read_bytes()
        except OSError:
            continue
        called, rest = stat[stat.index(b"(") + 1 : stat.rindex(b")")], stat[stat.rindex(b")") + 2 :].split()
        if rest[0] == b"Z":
            found.append((int(name), int(rest[1]), os.fsdecode(called), int(rest[-1])))
    return found


def descendants(pid: int, table: dict[int, list[int]] | None = None) -> list[int]:
    """Return all living descendants of a process, parents before children."""
    table = children_by_parent() if table is None else table
    found: list[int] = []
    queue = list(table.get(pid, ()))
    while queue:
        child = queue.pop(0)
        found.append(child)
        queue.extend(table.get(child, ()))
    return found


def names(pid: int) -> list[str]:
    """Return what a process may be called, as its program can be an interpreter with an option; empty if it is gone."""
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return []
    return [Path(os.fsdecode(word)).name for word in line.split(b"\0")[:3]]


def listens(port: int) -> bool:
    """Tell whether something in this network namespace listens on a TCP port."""
    return bool(listeners(port))


def listeners(port: int) -> set[str]:
    """Return the inodes of the sockets that listen on a TCP port."""
    return {inode for state, inode in _sockets(_LOCAL, port) if state == _LISTEN}


def connected(pids: list[int], port: int) -> bool:
    """Tell whether one of the processes holds an established TCP connection to a port, of whatever host.

    A SuperExec of newer releases forbids others to look into it (PR_SET_DUMPABLE, seen on 1.41), so that only root
    may list what it holds. Then a connection that nobody else is seen to hold is taken for its own.
    """
    inodes = {inode for state, inode in _sockets(_REMOTE, port) if state == _ESTABLISHED}
    if not inodes:
        return False
    held = {pid: sockets(pid) for pid in pids}
    if any(inodes & found for found in held.values() if found is not None):
        return True
    if None not in held.values():
        return False
    others = (sockets(int(name)) for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208 - names only
    return bool(inodes.difference(*(found for found in others if found)))


def _sockets(column: int, port: int) -> list[tuple[str, str]]:
    """Return state and inode of each TCP socket with that port in a column."""
    rows = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:  # no IPv6
            continue
        for line in lines:
            fields = line.split()
            if int(fields[column].rpartition(":")[2], 16) == port:
                rows.append((fields[3], fields[9]))
    return rows


def sockets(pid: int) -> set[str] | None:
    """Return the inodes of a process's sockets; None if the process does not let us look, or is gone."""
    inodes = set()
    try:
        for descriptor in os.listdir(f"/proc/{pid}/fd"):  # noqa: PTH208 - names only
            with suppress(FileNotFoundError):  # closed meanwhile
                target = os.readlink(f"/proc/{pid}/fd/{descriptor}")  # noqa: PTH115
                if target.startswith("socket:["):
                    inodes.add(target[8:-1])
    except OSError:
        return None
    return inodes
