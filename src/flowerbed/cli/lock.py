"""`flowerbed lock`."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from flowerbed.cli.options import FlowerVersion, Json, Where
from flowerbed.cli.output import Output
from flowerbed.environments.cache import write_durably
from flowerbed.kubernetes.locking import locked, names
from flowerbed.kubernetes.opening import open_file
from flowerbed.registry.client import Registries


def lock(
    *,
    file: Where = Path(),
    flower: FlowerVersion = None,
    check: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
) -> int:
    """Ask the registries what the images of a federation are now, and write that into federation.lock.

    From then on `render`, `up` and `run` name these images by digest, so that a tag that is moved changes nothing until
    this is typed again. An image that is named by its digest in the file only has to be there.

    Parameters
    ----------
    check
        Write nothing, and exit with 1 if the lock is not what the registries say.
    """
    out = Output(as_json=json)
    found = open_file(file)
    row = found.row(flower)
    found.check_image()
    before = found.locked()
    digests = {}
    with closing(Registries()) as registries:
        for name in names(found.federation, row):
            with out.working(f"asking for {name}"):
                digests[name] = registries.digest(name)
    after = locked(before, row, digests)
    known = {} if before is None else before.images
    rows = []
    for name, digest in digests.items():
        changed = name in after.images and known.get(name) != digest
        out.data("image", {"image": name, "digest": digest, "changed": changed})
        rows.append([name, digest, "changed" if changed else ""])
    out.table(["IMAGE", "DIGEST", ""], rows)
    if after == before:
        out.say(f"{found.lock} says so already.")
        return 0
    if check:
        out.say(f"{found.lock} does not say so: `flowerbed lock` writes it.")
        return 1
    write_durably(found.lock, after.render())
    out.say(f"{found.lock} is written. Commit it with the federation file.")
    return 0
