"""Leaving ServerApps some time to end by themselves once their runs have ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from flowerbed import processes
from flowerbed.local.follow import SERVERAPP

LAST_SAVES_SECONDS = 10.0
"""A run has ended when the ServerApp has returned; threads of it may still save something."""
_POLL_SECONDS = 0.1


async def let_end(tree: Callable[[], list[int]]) -> None:
    """Return once no ServerApp's process is left in a tree of processes, or some seconds later."""
    until = time.monotonic() + LAST_SAVES_SECONDS
    while time.monotonic() < until and any(SERVERAPP in processes.command_line(pid) for pid in tree()):
        await asyncio.sleep(_POLL_SECONDS)
