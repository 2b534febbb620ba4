"""`flowerbed node list`, `flowerbed node revoke` and `flowerbed node add`."""

from __future__ import annotations

from pathlib import Path

from flowerbed.cli.options import Json, Where
from flowerbed.cli.output import Output
from flowerbed.cli.place import runtime_at
from flowerbed.local import trusting
from flowerbed.local.runtime import only_one_verb


def list_(*, file: Where = Path(), json: Json = False) -> None:
    """List the SuperNodes that have a key, and others that the SuperLink knows."""
    out = Output(as_json=json)
    runtime = runtime_at(file)
    found = trusting.nodes(runtime.folder, runtime)
    for one in found:
        out.data("node", one)
    if found:
        rows = [[one.name or "-", one.state, one.key or "-", one.id or "-"] for one in found]
        out.table(["SUPERNODE", "STATE", "KEY", "FLOWER'S ID"], rows)
    else:
        out.say(
            "No SuperNode has a key; with security: {tls: {mode: Auto}, nodeAuth: true}, `flowerbed up` makes them."
        )


def revoke(node: str, /, *, file: Where = Path(), json: Json = False) -> None:
    """Let a SuperNode join no more, and end its programs. It stays so until `flowerbed node add`.

    Parameters
    ----------
    node
        The SuperNode's name, as `flowerbed node list` shows it.
    """
    out = Output(as_json=json)
    runtime = runtime_at(file)
    trusting.require(node, runtime.folder)
    with only_one_verb(runtime.folder, waiting=out.step), out.working(f"revoking {node}"):
        trusting.revoke(node, runtime, watch=out.event)
    out.data("node-change", {"name": node, "state": "revoked"})
    out.say(f"{node} is revoked.")


def add(node: str, /, *, file: Where = Path(), json: Json = False) -> None:
    """Let a SuperNode that was revoked join again, under a fresh key, from the next `flowerbed up` on.

    Parameters
    ----------
    node
        The SuperNode's name, as `flowerbed node list` shows it.
    """
    out = Output(as_json=json)
    runtime = runtime_at(file)
    trusting.require(node, runtime.folder)
    with only_one_verb(runtime.folder, waiting=out.step):
        changed = trusting.add(node, runtime.folder)
    out.data("node-change", {"name": node, "state": "offline" if changed else "unchanged"})
    out.say(f"{node} may join again; `flowerbed up` starts it." if changed else f"{node} was not revoked.")
