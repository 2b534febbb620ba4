"""What a SuperExec's fork server loads of Flower before it starts the processes of apps.

What a release does not have is left out: the process that needs something else imports it.

It runs in Flower's environment: standard library and flwr only.
"""

from __future__ import annotations

import importlib
import os
from contextlib import suppress
from importlib import metadata

from flowerbed_inside.launch import app, execution, fork_server, main
from flowerbed_inside.levers import lever
from flowerbed_inside.variables import RESULTS_ROOT, SCRATCH_ROOT

PRIVATE: dict[str, str] = {}
"""Nothing of Flower's is used but its programs, by their entry points."""

LOADED = {
    app.SERVERAPP: (RESULTS_ROOT, ("flwr.app", "flwr.serverapp", "flwr.serverapp.strategy", "encodings.idna")),
    app.CLIENTAPP: (SCRATCH_ROOT, ("flwr.app", "flwr.clientapp", "encodings.idna")),
}
"""Of each program of apps: the variable that the SuperExec of such apps has, and what nearly every app imports."""


def take() -> None:
    """Fork the server of this SuperExec, which has not begun yet."""
    if not lever.is_on("fork"):
        execution.say(execution.ISOLATED, f"{lever.LEVERS} leaves out fork")
        return
    lever.take("fork", lambda: fork_server.begin(dict.fromkeys(LOADED, main.main), prepare))


def prepare() -> None:
    """Import the programs of the apps that this SuperExec is for, and what they need at once."""
    told = [name for name, (variable, _) in LOADED.items() if variable in os.environ]
    for name in told or LOADED:
        for entry in metadata.entry_points(group="console_scripts", name=name):
            entry.load()
        for module in LOADED[name][1]:
            with suppress(ImportError):
                importlib.import_module(module)
