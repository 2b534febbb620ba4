"""What the file, the environment and this machine say of how the processes of apps begin."""

from __future__ import annotations

import os
import sys

from flowerbed.errors import UsageError
from flowerbed.processes import LINUX
from flowerbed.spec.model import Execution, FederationSpec
from flowerbed.spec.words import nearest
from flowerbed_inside.levers.lever import LEVERS, NAMES

NONE = "none"
_FORK = "fork"


def levers() -> list[str]:
    """Return the levers that ``FLOWERBED_LEVERS`` leaves on; all of them where it says nothing.

    Raises
    ------
    UsageError
        If it names one that there is not.
    """
    said = [word.strip() for word in os.environ.get(LEVERS, "").split(",") if word.strip()]
    for word in said:
        if word not in (*NAMES, NONE):
            meant = nearest(word, (*NAMES, NONE))
            raise UsageError(
                f"there is no lever {word!r}" + (f"; did you mean {meant!r}?" if meant else ""),
                where=LEVERS,
                hint=f"Levers are {', '.join(NAMES)}; `{NONE}` is none of them. Unset it to have all.",
            )
    return [name for name in NAMES if name in said] if said else list(NAMES)


def told(spec: FederationSpec) -> str:
    """Return in a sentence how the processes of apps begin on this machine, and which levers are off.

    Raises
    ------
    UsageError
        If ``FLOWERBED_LEVERS`` names a lever that there is not.
    """
    on = levers()
    off = [name for name in NAMES if name not in on]
    without = f"; {LEVERS} leaves out {', '.join(off)}" if off else ""
    said = {"ServerApps": spec.execution_of(spec.serverapp)}
    said |= {f"ClientApps of {pool.name}": spec.execution_of(pool) for pool in spec.own_pools}
    isolated = [whose for whose, execution in said.items() if execution is Execution.ISOLATED]
    if len(isolated) == len(said):
        return f"{Execution.ISOLATED}, as the file says{without}"
    if not LINUX:
        return f"{Execution.ISOLATED}: forking is not safe on {sys.platform}{without}"
    if _FORK not in on:
        return f"{Execution.ISOLATED}{without}"
    apart = f", but {Execution.ISOLATED} for {' and '.join(isolated)}" if isolated else ""
    return f"{Execution.WARM}{apart}{without}"
