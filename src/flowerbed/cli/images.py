"""`flowerbed images list`, `prune` and `mirror`."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import yaml
from cyclopts import Parameter

from flowerbed.cli.cached import DAY, MB, ago, tell_removed
from flowerbed.cli.options import FlowerVersion, Json
from flowerbed.cli.output import Output
from flowerbed.cli.progress import Progress
from flowerbed.environments.cache import scratch
from flowerbed.flower.releases import Row, choose
from flowerbed.image.pruning import Kept, list_kept
from flowerbed.image.pruning import prune as prune_kept
from flowerbed.kubernetes.mirroring import BASE, Wanted, fragment, of_any_federation, registry, unpinned, wanted
from flowerbed.kubernetes.opening import open_file
from flowerbed.registry.client import Registries
from flowerbed.registry.copying import copy_image
from flowerbed.spec.model import Federation
from flowerbed.spec.names import FEDERATION_FILE


def list_(*, json: Json = False) -> None:
    """List what `flowerbed build` keeps in the cache, last used first: bases, packages, layers."""
    out = Output(as_json=json)
    found = list_kept()
    _show(out, found)
    if not found:
        out.say("There is nothing yet; `flowerbed build` keeps what it fetched and made.")


def prune(
    *,
    older_than: Annotated[float, Parameter(help="Days for which no build used it.")] = 30.0,
    all: Annotated[bool, Parameter(name="--all", negative="")] = False,  # noqa: A002 - the flag's name
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
) -> None:
    """Delete what no build has used for a while. Images in registries stay; a later build fetches or makes it again.

    Parameters
    ----------
    all
        Delete all of it, however recently it was used.
    dry_run
        Only say what would be deleted.
    """
    out = Output(as_json=json)
    removed = prune_kept(older_than=older_than * DAY, everything=all, dry_run=dry_run)
    _show(out, removed)
    tell_removed(out, (one.size for one in removed), dry_run=dry_run)


def _show(out: Output, items: list[Kept]) -> None:
    rows = []
    for one in items:
        out.data("kept", {"path": str(one.path), "holds": one.holds, "bytes": one.size, "last_used": one.last_used})
        rows.append([one.holds, f"{one.size / MB:.1f}", ago(one.last_used), str(one.path)])
    if rows:
        out.table(["WHAT", "MB", "LAST USED", "WHERE"], rows)


def mirror(
    *,
    to: Annotated[str, Parameter(help="The registry, perhaps with a path: registry.example.org/mirror.")],
    file: Annotated[
        Path | None,
        Parameter(
            name=["--file", "-f"],
            help="The federation file, or the folder with it. Without one, what any federation needs is copied.",
        ),
    ] = None,
    flower: FlowerVersion = None,
    origin: Annotated[
        str | None, Parameter(name="--from", help="The registry to copy from, instead of where the file has them from.")
    ] = None,
    json: Json = False,
) -> None:
    """Copy what a federation needs into a registry of your own, and print what the file then says.

    That is Flower's images for the release, the one that apps' own are built on among them, and the proxy's. Each is
    copied with all its platforms and keeps its digest; what is there already is not copied again. The federation file
    is not changed.
    """
    out = Output(as_json=json)
    place, source = registry(to, "--to"), None if origin is None else registry(origin, "--from")
    federation, row, locked = _asked(file, flower)
    copies: list[tuple[Wanted, str]] = []
    mounts: dict[str, str] = {}
    with closing(Registries()) as registries, scratch() as folder:
        for one in wanted(federation, row, place, source, locked):
            with out.working(f"copying {one.source}"):
                done = copy_image(registries, one.source, one.target, folder, Progress(out, one.source), mounts)
            copies.append((one, done.digest))
            out.data(
                "mirrored",
                {
                    "source": one.source,
                    "image": one.target,
                    "digest": done.digest,
                    "bytes": done.size,
                    "changed": done.changed,
                },
            )
            out.say(f"{one.target}@{done.digest}{'' if done.changed else ' was there already'}")
    said = fragment(federation, place, copies)
    out.data("fragment", {"spec": said})
    text = yaml.safe_dump({"spec": said}, sort_keys=False, width=1000)
    out.say(f"\nInto {FEDERATION_FILE}, for Flower {row.release}:\n\n{text}")
    [base] = [f"{one.target}@{digest}" for one, digest in copies if one.field == BASE]
    out.say(f"Apps' own images are built on {base}.")


def _asked(file: Path | None, flower: str | None) -> tuple[Federation, Row, dict[str, str]]:
    """Return the federation, its release, and what its lock says of that."""
    if file is None and not Path(FEDERATION_FILE).exists():
        return of_any_federation(), choose(flower, None), {}
    found = open_file(Path() if file is None else file)
    row, lock = found.row(flower), found.locked()
    federation = unpinned(found.federation) if flower is not None and row != found.row() else found.federation
    return federation, row, {} if lock is None else dict(lock.images)
