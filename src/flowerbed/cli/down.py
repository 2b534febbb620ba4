"""`flowerbed down`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from flowerbed.cli.options import Json, Where
from flowerbed.cli.output import Output
from flowerbed.cli.place import runtime_at
from flowerbed.local.runtime import only_one_verb


def down(
    *,
    file: Where = Path(),
    volumes: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
) -> None:
    """Take a federation down. Its history, logs and results stay, and `up` starts it again.

    Parameters
    ----------
    volumes
        Delete everything that it keeps as well: Flower's database, logs, results and run history.
    """
    out = Output(as_json=json)
    runtime = runtime_at(file)
    was_up = False
    if runtime.folder.root.exists():
        with out.working("taking the federation down"):
            was_up = runtime.down(watch=out.event)  # also in the middle of somebody's `up`, which then ends
        if volumes:
            with only_one_verb(runtime.folder, waiting=out.step):
                runtime.remove()
    out.data("down", {"was_up": was_up, "removed": volumes})
    out.say("The federation is down." if was_up else "The federation was not up.")
    if volumes:
        out.say("Everything that it kept is deleted.")
