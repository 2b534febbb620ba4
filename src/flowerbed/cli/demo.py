"""`flowerbed demo`."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from itertools import count
from pathlib import Path

from flowerbed import templates
from flowerbed.cli.options import Json, NewFlower
from flowerbed.cli.output import Output
from flowerbed.cli.run import run_prepared
from flowerbed.environments.cache import cache_root, writable
from flowerbed.local.prepare import prepare
from flowerbed.local.runtime import LocalRuntime
from flowerbed.local.source import find

NAME = "digits"


def demo(*, flower: NewFlower = None, into: Path | None = None, json: Json = False) -> int:
    """Run a whole federation on this machine, once: scikit-learn on its digits data, 2 SuperNodes, 3 rounds.

    Prepares an environment for Flower, starts a SuperLink, SuperNodes and SuperExecs, runs the app, shows
    each round and the verdict, and takes everything down again.

    Parameters
    ----------
    into
        The folder for the demo's app, its logs and results. Default: one in Flowerbed's cache.
    """
    out = Output(as_json=json)
    with (
        nullcontext(into)
        if into is not None
        else free_folder(cache_root() / "demo" / templates.digest("sklearn")[:8]) as folder
    ):
        if not (folder / "pyproject.toml").exists():
            templates.write("sklearn", folder, NAME, None)
        out.say(f"The demo's app is in {folder}: the one that `flowerbed new` writes.")
        with out.working("preparing"):
            prepared = prepare(find(folder), flower=flower, progress=out.progress)
        return run_prepared(out, prepared, LocalRuntime(prepared.folder))


@contextmanager
def free_folder(parent: Path) -> Iterator[Path]:
    """Give the first of some folders that no other demo uses now; it is kept, and used again by a later one."""
    for number in count(1):
        folder = parent / (NAME if number == 1 else f"{NAME}-{number}")
        with ExitStack() as stack:
            with writable(parent):
                lock = stack.enter_context((parent / f".{folder.name}.lock").open("a"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield folder
            return
