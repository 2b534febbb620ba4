"""Which key a SuperNode comes with: each time that its unit starts, the next of those that are its own.

A SuperLink takes a killed SuperNode's key back only when a heartbeat is overdue, after about a minute, from 1.23 on for
the same node, which a run then waits for. So a SuperNode has spare keys, all of them known to the SuperLink, and comes
back as a new node at once. A file holds them, one after the other: a private key in OpenSSH's format, and its public
half in the line behind it.

A Pod that replaces another has nothing to tell it which key that one had. If it takes the same, the SuperLink refuses
it, as a killed node counts as online, and the next has its turn. But one that could say goodbye is not refused: it is
the same node again, and what it had taken in its last moment is never answered. The ServerApp learns that only if it
asks while the node is away, every 3 s (flwr, ``send_and_receive`` of the grid); seen on 1.41, where a new Pod joined
1.2 s after the goodbye, and the run waited for ever. So a SuperNode in a new folder joins no sooner than
`SETTLE_SECONDS` after it began, unless it had to wait for the SuperLink anyway.

Standard library only.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

REVOKED = "revoked"
"""What the file of a SuperNode says that may join no more."""

SETTLE_SECONDS = 6.0
"""Longer than the 2 s that a kubelet gives at least to what it ends, and those 3 s."""

KEY = "key"
PUBLIC = "key.pub"
_TURN = "turn"
_ONE = re.compile(r"(-----BEGIN OPENSSH PRIVATE KEY-----\n.+?-----END OPENSSH PRIVATE KEY-----\n)([^\n]+\n)", re.DOTALL)


class NoKeyError(Exception):
    """There is no key to come with; says why."""


class RevokedError(NoKeyError):
    """The SuperNode may join no more."""


def take(file: Path, folder: Path) -> str:
    """Put the key whose turn it is into a folder, as ``key`` and ``key.pub``; return which one it is, in words.

    A folder that has seen no turn yet begins with any of them: one that has gone, with a Pod of the same name, may have
    been killed with the first.

    Raises
    ------
    NoKeyError
        If the file cannot be read, or holds no key.
    RevokedError
        If it says that the SuperNode was revoked.
    """
    try:
        text = file.read_text(encoding="ascii")
    except (OSError, ValueError) as error:
        raise NoKeyError(f"its keys cannot be read: {error}") from error
    if text.strip() == REVOKED:
        raise RevokedError("it was revoked: `flowerbed node add` lets it join again")
    keys = parse(text)
    if not keys:
        raise NoKeyError(f"there is no key in {file}")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    turn = (_last_turn(folder) + 1) % len(keys)
    for name, content in zip((KEY, PUBLIC), keys[turn], strict=True):
        _write(folder / name, content)
    _write(folder / _TURN, str(turn))
    return f"key {turn + 1} of {len(keys)}"


def is_new(folder: Path) -> bool:
    """Tell whether no key has been put into a folder yet: another Pod may have had this one's name until just now."""
    return not (folder / _TURN).exists()


def parse(text: str) -> list[tuple[str, str]]:
    """Return what a file of keys holds: each one's private and public half."""
    return [(private, public) for private, public in _ONE.findall(text)]


def _last_turn(folder: Path) -> int:
    try:
        return int((folder / _TURN).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return int.from_bytes(os.urandom(2), "big")


def _write(path: Path, content: str) -> None:
    beside = path.with_name(f".{path.name}.half")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as out:
        out.write(content)
    beside.replace(path)
