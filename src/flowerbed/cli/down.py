"""`flowerbed down`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from flowerbed.cli.options import LOCAL, Json, On, Where, kubernetes_context
from flowerbed.cli.output import Output
from flowerbed.cli.place import is_federation, runtime_at
from flowerbed.local.runtime import only_one_verb


def down(
    *,
    file: Where = Path(),
    volumes: Annotated[bool, Parameter(negative="")] = False,
    on: On = LOCAL,
    json: Json = False,
) -> None:
    """Take a federation down. Its history, logs and results stay, and `up` starts it again.

    Parameters
    ----------
    volumes
        Delete everything that it keeps as well: Flower's database, logs, results and run history (on Kubernetes its
        claims, and its namespace if `up` made it and nothing else is in it).
    """
    out = Output(as_json=json)
    asked, context = kubernetes_context(on)
    if asked:
        from flowerbed.cli import on_kubernetes

        on_kubernetes.down(out, file, context, volumes=volumes)
        return
    runtime = runtime_at(file)
    there_is_one = is_federation(file, runtime)
    was_up = False
    if runtime.is_there():
        with out.working("taking the federation down"):
            was_up = runtime.down(watch=out.event)  # also in the middle of somebody's `up`, which then ends
    if volumes and runtime.folder.root.exists():
        with only_one_verb(runtime.folder, waiting=out.step):
            runtime.remove()
    out.data("down", {"was_up": was_up, "removed": volumes})
    if there_is_one:
        out.say("The federation is down." if was_up else "The federation was not up.")
    else:
        out.say(f"There is no federation in {file.resolve()}.")
    if volumes:
        out.say("Everything that it kept is deleted.")
