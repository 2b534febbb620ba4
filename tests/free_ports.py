"""Ports for programs that tests start: none is given twice, and nobody else is given one by the kernel."""

from __future__ import annotations

import fcntl
import os
import secrets
import tempfile
from pathlib import Path

from flowerbed.local.ports import is_free

_FIRST = 10_000
_LAST = 32_767
"""Below what Linux gives to whoever asks for any port (``ip_local_port_range``, 32768 and up): a port that was free a
moment ago is some connection's, or another worker's, by the time that a program listens there."""

_given: set[int] = set()
_claims: list[int] = []


def free_port() -> int:
    """Return a loopback port that nobody listens on and that no process of these tests is given again.

    A port is a byte of a file that this process holds a lock of until it ends, however it ends.
    """
    if not _claims:
        file = Path(tempfile.gettempdir()) / f"flowerbed-tests-ports-{os.getuid()}"
        _claims.append(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    while True:
        port = _FIRST + secrets.randbelow(_LAST - _FIRST + 1)
        if port not in _given and _claim(port) and is_free(port):
            _given.add(port)
            return port


def _claim(port: int) -> bool:
    try:
        fcntl.lockf(_claims[0], fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except BlockingIOError:
        return False
    return True
