"""What `flowerbed trust` and `flowerbed node` need with ``--on kubernetes``."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from flowerbed.cli.interrupts import until_interrupted
from flowerbed.cli.on_kubernetes import opened
from flowerbed.cli.output import Output
from flowerbed.errors import UsageError
from flowerbed.kubernetes.keeping import Keeper
from flowerbed.kubernetes.manifests.nginx import CLIENT_NAME
from flowerbed.kubernetes.manifests.proxy import FILE as FORWARDER
from flowerbed.kubernetes.runtime import KubernetesRuntime
from flowerbed.runs.runtime import Event
from flowerbed.sites.kit import Wanted, require_external, requirements
from flowerbed.trust import files
from flowerbed.trust.seen import Certificate, Rotated
from flowerbed.trust.servers import SERVER_DAYS


@contextmanager
def kept(place: Path, context: str | None) -> Iterator[tuple[Keeper, KubernetesRuntime]]:
    """Open the trust of a federation in a cluster, with the release that lives there, or else the file's."""
    with opened(place, context) as (found, runtime):
        release = runtime.look().release
        yield runtime.keeper(found.federation, found.row(release or None)), runtime


def kit(out: Output, place: Path, context: str | None, node: str, more: tuple[bytes, ...]) -> Wanted:
    """Return what a kit is for, from a federation in a cluster; its SuperLink is told of the keys."""
    with opened(place, context) as (found, runtime):
        require_external(found.federation, node, str(found.loaded.path))
        release = runtime.look().release
        row = found.row(release or None)
        federation = found.pinned(row).federation
        own_keys, authority = runtime.keeper(federation, row).kit(node, saying(out))
        return Wanted(federation, row, node, own_keys, (authority, *more), requirements(found.manifest))


def saying(out: Output) -> Callable[[str, str], None]:
    """Return what tells a user what is done to an object."""
    return lambda subject, message: out.event(Event(time.time(), "apply", subject, message))


def export_client(place: Path, context: str | None, folder: Path, out: Output) -> None:
    """Write a fresh client's certificate, and what belongs to it, into a folder.

    Raises
    ------
    UsageError
        If the folder's name is none for a client.
    """
    called = folder.absolute().name
    if not re.fullmatch(CLIENT_NAME, called):
        raise UsageError(
            f"{called!r} is no name for a client",
            where=str(folder),
            hint="Name the folder with lower-case letters, digits, dots and hyphens.",
        )
    with kept(place, context) as (keeper, _):
        made = keeper.client(called)
    files.make_folder(folder)
    for name, content in made.items():
        files.write(folder / name, content)
    out.data("client", {"folder": str(folder), "files": sorted(made)})
    out.say(f"{folder}: {', '.join(sorted(made))}. Whoever has these can submit code; the certificate is good for")
    out.say(f"{SERVER_DAYS} days. nginx -c {folder.absolute() / FORWARDER} adds it to the calls of a stock client.")


def rotate(
    out: Output, place: Path, context: str | None, *, authority: bool, secret: bool
) -> tuple[Rotated, list[Certificate]]:
    """Renew what a federation in a cluster trusts; for an authority or secrets it ends with what `up` does."""
    with opened(place, context) as (found, runtime):
        release = found.row(runtime.look().release or None)
        found = found.pinned(release)
        keeper = runtime.keeper(found.federation, release)
        restarted = keeper.rotate(saying(out), new_authority=authority, new_secret=secret)
        if not runtime.is_up():
            keeper.retire(saying(out))
        elif authority or secret:
            wanted = found.objects(release, runtime.namespace)
            with until_interrupted() as interrupted:
                runtime.up(found.federation, wanted, release, watch=out.event, interrupted=interrupted)
            restarted = True
        return Rotated(restarted, complete=not keeper.is_changing()), keeper.show()
