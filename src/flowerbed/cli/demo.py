"""`flowerbed demo`."""

from __future__ import annotations

from pathlib import Path

from flowerbed import templates
from flowerbed.cli.options import FlowerVersion, Json
from flowerbed.cli.output import Output
from flowerbed.cli.run import run_prepared
from flowerbed.environments.cache import cache_root
from flowerbed.local.prepare import prepare
from flowerbed.local.runtime import LocalRuntime
from flowerbed.local.source import find

NAME = "digits"


def demo(*, flower: FlowerVersion = None, into: Path | None = None, json: Json = False) -> int:
    """Run a whole federation on this machine, once: scikit-learn on its digits data, 2 SuperNodes, 3 rounds.

    Prepares an environment for Flower, starts a SuperLink, SuperNodes and SuperExecs, runs the app, shows
    each round and the verdict, and takes everything down again.

    Parameters
    ----------
    into
        The folder for the demo's app, its logs and results. Default: one in Flowerbed's cache.
    """
    out = Output(as_json=json)
    folder = into if into is not None else cache_root() / "demo" / templates.digest("sklearn")[:8] / NAME
    if not (folder / "pyproject.toml").exists():
        templates.write("sklearn", folder, NAME, None)
    out.say(f"The demo's app is in {folder}: the one that `flowerbed new` writes.")
    with out.working("preparing"):
        prepared = prepare(find(folder), flower=flower, progress=out.step)
    return run_prepared(out, prepared, LocalRuntime(prepared.folder))
