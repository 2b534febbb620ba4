"""`flowerbed node list`, `flowerbed node revoke`, `flowerbed node add` and `flowerbed node kit`."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from flowerbed.cli.options import LOCAL, Json, On, Where, kubernetes_context
from flowerbed.cli.output import Output
from flowerbed.cli.place import federation_at
from flowerbed.errors import UsageError
from flowerbed.local import trusting
from flowerbed.local.preflight import choose_release
from flowerbed.local.runtime import only_one_verb
from flowerbed.local.source import find


def list_(*, file: Where = Path(), on: On = LOCAL, json: Json = False) -> None:
    """List the SuperNodes that have a key, and others that the SuperLink knows."""
    out = Output(as_json=json)
    asked, context = kubernetes_context(on)
    if asked:
        from flowerbed.cli.trust_on_kubernetes import kept

        with kept(file, context) as (keeper, _):
            found = keeper.nodes()
    else:
        runtime = federation_at(file)
        found = trusting.nodes(runtime.folder, runtime)
    for one in found:
        out.data("node", one)
    if found:
        rows = [
            [one.name or "-", one.state, "external" if one.external else "-", one.key or "-", one.id or "-"]
            for one in found
        ]
        out.table(["SUPERNODE", "STATE", "WHERE", "KEY", "FLOWER'S ID"], rows)
    else:
        out.say(
            "No SuperNode has a key; with security: {tls: {mode: Auto}, nodeAuth: true}, `flowerbed up` makes them."
        )


def revoke(node: str, /, *, file: Where = Path(), on: On = LOCAL, json: Json = False) -> None:
    """Let a SuperNode join no more, and end its programs. It stays so until `flowerbed node add`.

    Parameters
    ----------
    node
        The SuperNode's name, as `flowerbed node list` shows it.
    """
    out = Output(as_json=json)
    asked, context = kubernetes_context(on)
    if asked:
        from flowerbed.cli.trust_on_kubernetes import kept, saying

        with kept(file, context) as (keeper, _), out.working(f"revoking {node}"):
            keeper.revoke(node, saying(out))
    else:
        runtime = federation_at(file)
        trusting.require(node, runtime.folder)
        with only_one_verb(runtime.folder, waiting=out.step), out.working(f"revoking {node}"):
            trusting.revoke(node, runtime, watch=out.event)
    out.data("node-change", {"name": node, "state": "revoked"})
    out.say(f"{node} is revoked.")


def add(node: str, /, *, file: Where = Path(), on: On = LOCAL, json: Json = False) -> None:
    """Let a SuperNode that was revoked join again, under a fresh key, from the next `flowerbed up` on.

    Parameters
    ----------
    node
        The SuperNode's name, as `flowerbed node list` shows it.
    """
    out = Output(as_json=json)
    asked, context = kubernetes_context(on)
    if asked:
        from flowerbed.cli.trust_on_kubernetes import kept, saying

        with kept(file, context) as (keeper, _), out.working(f"letting {node} in"):
            changed = keeper.add(node, saying(out))
    else:
        runtime = federation_at(file)
        trusting.require(node, runtime.folder)
        with only_one_verb(runtime.folder, waiting=out.step):
            changed = trusting.add(node, runtime.folder)
    then = "." if asked else "; `flowerbed up` lets it in, and one that runs elsewhere needs a new kit."
    out.data("node-change", {"name": node, "state": "offline" if changed else "unchanged"})
    out.say(f"{node} may join again{then}" if changed else f"{node} was not revoked.")


def kit(
    node: str,
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    authority: Path | None = None,
    file: Where = Path(),
    on: On = LOCAL,
    json: Json = False,
) -> None:
    """Write what a site needs to start a SuperNode of an external pool: a tar file with its keys, which is a secret.

    It holds a folder with one command to start it as processes, and manifests for a cluster of the site's own where the
    file names an image. The SuperLink knows its keys from the next `flowerbed up` on.

    Parameters
    ----------
    node
        The SuperNode's name: that of its pool, and its number.
    output
        The tar file. Only you may read it.
    authority
        A file with one more certificate that the site trusts, in PEM: for `ingress: {tls: Reencrypt}`.
    """
    from flowerbed.sites import archive
    from flowerbed.sites.kit import Wanted, files, require_external, requirements

    out = Output(as_json=json)
    more = (_certificate(authority),) if authority is not None else ()
    asked, context = kubernetes_context(on)
    if asked:
        from flowerbed.cli import trust_on_kubernetes

        wanted = trust_on_kubernetes.kit(out, file, context, node, more)
    else:
        source = find(file)
        require_external(source.federation, node, str(file))
        row = choose_release(source)
        source.folder.create()
        with only_one_verb(source.folder, waiting=out.step):
            own_keys, certificate = trusting.kit(source.federation, node, source.folder)
        needed = requirements(source.manifest)
        wanted = Wanted(source.federation, row, node, own_keys, (certificate, *more), needed)
    now = datetime.now(UTC)
    archive.write(output, wanted.name, files(wanted, now=now, random=secrets.token_bytes), now=now)
    out.data("kit", {"name": node, "file": str(output), "folder": wanted.name, "dials": wanted.expose.fleet_address})
    out.say(f"{output} has what {node} needs; whoever has it can be {node}. There: tar xf {output.name}")
    out.say(f"Then {wanted.name}/README.md says how it is started. It dials {wanted.expose.fleet_address}.")


def _certificate(path: Path) -> bytes:
    from flowerbed.trust.certificates import describe

    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=str(path)) from error
    describe(content, str(path))
    return content
