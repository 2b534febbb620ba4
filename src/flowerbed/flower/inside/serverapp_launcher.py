"""Runs the release's own `flwr-serverapp`, with a folder for each run's results.

A SuperExec starts `flwr-serverapp` by name. A script of that name, first on its PATH, runs this file with the
environment's Python and the arguments that the SuperExec gave (`flowerbed.environments` puts it there). What
happens then is Flower's own, in this same process, but for one variable: ``FLOWERBED_RESULTS`` names the folder
``$FLOWERBED_RESULTS_ROOT/<run id>``, which exists. It is set before the app's code is imported, where Flower can
be asked that early, and in any case before its ServerApp is called.
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

PRIVATE = {"flwr.server.run_serverapp:run": ">=1.22"}
"""What is used of Flower that it does not promise to keep, as ``module:attribute``, and in which releases.

Without it results still go to their folder; only an app that reads the variable while it is imported misses it."""

ROOT = "FLOWERBED_RESULTS_ROOT"
RESULTS = "FLOWERBED_RESULTS"


def give_folder(context: Any) -> None:
    """Create the folder for the results of the run that a ServerApp's context is of, and name it."""
    run = getattr(context, "run_id", None)
    if run is None:
        return
    folder = Path(os.environ[ROOT]) / str(run)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:  # a full disk: the run may still be worth something
        print(f"flowerbed: results cannot be kept: {error}", file=sys.stderr, flush=True)
    else:
        os.environ[RESULTS] = str(folder)


def giving_folder(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function that gets a ServerApp's context, so that the run has its folder first."""

    @functools.wraps(function)
    def with_folder(*args: Any, **kwargs: Any) -> Any:
        for value in (*args, *kwargs.values()):
            if hasattr(value, "run_id") and hasattr(value, "run_config"):  # a context, whatever its class is now
                give_folder(value)
        return function(*args, **kwargs)

    return with_folder


def wrap() -> None:
    """Have Flower give each run its folder."""
    from flwr.serverapp import ServerApp

    ServerApp.__call__ = giving_folder(ServerApp.__call__)
    try:
        module = importlib.import_module("flwr.server.run_serverapp")
        module.run = giving_folder(module.run)  # type: ignore[attr-defined]
    except (ImportError, AttributeError):
        return


def main() -> None:
    """Become `flwr-serverapp`."""
    sys.argv[0] = "flwr-serverapp"
    os.environ.pop(RESULTS, None)
    if os.environ.get(ROOT):
        wrap()
    [entry_point] = metadata.entry_points(group="console_scripts", name="flwr-serverapp")
    sys.exit(entry_point.load()())


if __name__ == "__main__":
    main()
