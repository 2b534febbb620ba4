"""Whether a process may be forked, and why not.

A fork copies one thread. Whatever the others hold or do is lost to the child: a lock stays locked, and a pool of
workers never runs. So only a process is forked that has one thread, in Python and for the kernel, holds no device,
and has no children of its own. Threads of OpenBLAS are no obstacle, as that ends them before a fork and starts them
when they are needed; those that OpenMP starts for its first region stay, so that they are found here.

It runs in Flower's environment: standard library only.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

PRIVATE: dict[str, str] = {}
"""Nothing of Flower's is used."""

_HARMLESS = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")


def unsafe(known: frozenset[int] = frozenset()) -> str:
    """Return why this process should not be forked; empty if it may be.

    Parameters
    ----------
    known : frozenset of int
        Descriptors that it may have open, beside the standard streams.
    """
    if sys.platform != "linux":
        return f"forking is not safe on {sys.platform}"
    if (count := threading.active_count()) > 1:
        return f"there are {count} threads"
    if held := _opened(known):
        return f"{held} is open"
    if children():
        return "there are other processes"
    _fork_once()
    if (count := len(os.listdir("/proc/self/task"))) > 1:  # noqa: PTH208 - names only
        return f"there are {count} threads that a fork does not end, as OpenMP's"
    return ""


def children() -> list[int]:
    """Return the processes that this one has started."""
    found = Path("/proc/self/task").glob("*/children")
    return [int(pid) for file in found for pid in file.read_text(encoding="ascii").split()]


def _opened(known: frozenset[int]) -> str:
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names only
        if int(name) <= 2 or int(name) in known:
            continue
        try:
            target = os.readlink(f"/proc/self/fd/{name}")  # noqa: PTH115
        except OSError:  # the one of this very look
            continue
        if target not in _HARMLESS:
            return target
    return ""


def _fork_once() -> None:
    """Fork, so that what ends its threads before a fork has ended them."""
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
