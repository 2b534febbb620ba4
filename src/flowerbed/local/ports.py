"""Loopback ports: finding free ones, asking whether one answers, and who is connected to it."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

from flowerbed.errors import PortTaken
from flowerbed.processes import LINUX

LOOPBACK = "127.0.0.1"
_ESTABLISHED = "01"
_LISTEN = "0A"


def is_free(port: int) -> bool:
    """Tell whether a loopback port can be bound right now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def find_free(count: int) -> list[int]:
    """Return that many different free loopback ports, chosen by the kernel.

    All are held at once while choosing, so that none is given twice.
    """
    held = [socket.socket() for _ in range(count)]
    try:
        for probe in held:
            probe.bind((LOOPBACK, 0))
        return [probe.getsockname()[1] for probe in held]
    finally:
        for probe in held:
            probe.close()


def require_free(port: int, *, purpose: str) -> int:
    """Return the port if it is free.

    Raises
    ------
    PortTaken
        If another program listens on it; the message says which, where the system tells.
    """
    if is_free(port):
        return port
    owner = _listener(port)
    raise PortTaken(
        f"port {port} for {purpose} is taken" + (f" by process {owner}" if owner else ""),
        where=f"{LOOPBACK}:{port}",
        hint="End that program, or change spec.superlink.ports: without a number a free one is found.",
    )


def answers(address: str) -> bool:
    """Tell whether something accepts connections at ``host:port``."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=0.5):
            return True
    except OSError:
        return False


def connected_to(pids: list[int], port: int) -> bool:
    """Tell whether one of the processes holds an established connection to a loopback port."""
    if not LINUX:
        return any(_lsof("-a", "-p", str(pid), f"-iTCP:{port}", "-sTCP:ESTABLISHED") for pid in pids)
    inodes = {inode for remote, state, inode in _tcp_table(remote=True) if state == _ESTABLISHED and remote == port}
    return bool(inodes) and any(inodes & socket_inodes(pid) for pid in pids)


def _tcp_table(*, remote: bool) -> list[tuple[int, str, str]]:
    rows = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            rows.append((int(fields[2 if remote else 1].rpartition(":")[2], 16), fields[3], fields[9]))
    return rows


def socket_inodes(pid: int) -> set[str]:
    """Return the sockets that a process holds, as `/proc/net/tcp` numbers them (Linux)."""
    inodes = set()
    try:
        for descriptor in os.listdir(f"/proc/{pid}/fd"):  # noqa: PTH208 - names only, and many of them
            target = os.readlink(f"/proc/{pid}/fd/{descriptor}")  # noqa: PTH115
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    except OSError:  # the process is gone, or one of its descriptors
        pass
    return inodes


def _lsof(*arguments: str) -> list[str]:
    """Ask lsof, which macOS has, for process ids."""
    try:
        asked = subprocess.run(["lsof", "-nP", "-t", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return []
    return asked.stdout.split()


def _listener(port: int) -> str | None:
    if not LINUX:
        return next(iter(_lsof(f"-iTCP:{port}", "-sTCP:LISTEN")), None)
    wanted = {inode for local, state, inode in _tcp_table(remote=False) if state == _LISTEN and local == port}
    if not wanted:
        return None
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and wanted & socket_inodes(int(entry.name)):
            name = (entry / "comm").read_text(encoding="utf-8", errors="replace").strip()
            return f"{entry.name} ({name})"
    return None
