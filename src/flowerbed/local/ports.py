"""Loopback ports: finding free ones, asking whether one answers, and who is connected to it."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

from flowerbed.errors import PortTaken
from flowerbed.processes import LINUX
from flowerbed_inside import proc

LOOPBACK = "127.0.0.1"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - only where the file asks for it


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
    return proc.connected(pids, port)


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
    wanted = proc.listeners(port)
    if not wanted:
        return None
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and wanted.intersection(proc.sockets(int(entry.name)) or ()):
            name = (entry / "comm").read_text(encoding="utf-8", errors="replace").strip()
            return f"{entry.name} ({name})"
    return None
