"""What a federation's trust looks like from outside: what `flowerbed trust show` and `flowerbed node list` tell."""

from __future__ import annotations

from dataclasses import dataclass

from flowerbed.errors import UsageError

BEFORE = "ca-before"
"""How an authority is called that is still trusted beside its successor."""


@dataclass(frozen=True)
class Certificate:
    """A certificate of a federation's.

    Parameters
    ----------
    name : str
        ``ca``, ``superlink`` or ``loopback``; ``ca-before`` for an authority that is still trusted beside its
        successor.
    path : str
        Its file, or the Secret that holds it.
    names : tuple of str
        The host names and addresses that it is for.
    not_before, not_after : str
        When it is good: ISO 8601, UTC.
    fingerprint : str
        The SHA-256 of the certificate, in hexadecimal digits.
    """

    name: str
    path: str
    names: tuple[str, ...]
    not_before: str
    not_after: str
    fingerprint: str


@dataclass(frozen=True)
class Node:
    """A SuperNode that has a key.

    Parameters
    ----------
    name : str
        Its name; empty for one that the SuperLink knows and the file does not.
    state : str
        ``online``, ``offline`` or ``revoked``.
    key : str
        The fingerprint of its key, as ``ssh-keygen -l`` prints it; empty if only the SuperLink has it. Of several, all.
    id : str or None
        Flower's id of it, while the federation is up.
    external : bool
        Whether it runs elsewhere.
    """

    name: str
    state: str
    key: str
    id: str | None
    external: bool = False


@dataclass(frozen=True)
class Rotated:
    """What came of a rotation.

    Parameters
    ----------
    restarted : bool
        Whether programs that ran were started again for it.
    complete : bool
        Whether nothing is left to do; if not, the authority before is still trusted because a run goes on.
    """

    restarted: bool
    complete: bool


def revoked_node(node: str) -> UsageError:
    """Return what to say when a kit is asked for, and the SuperNode may join no more."""
    return UsageError(
        f"{node} is revoked: it may join no more",
        hint=f"`flowerbed node add {node}` lets it join again, under fresh keys; then ask for its kit.",
    )
