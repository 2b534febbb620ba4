"""Options that several commands share, described once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from flowerbed.errors import UsageError

Json = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON object per line, for programs.")]
Where = Annotated[
    Path,
    Parameter(
        name=["--file", "-f"],
        help="The federation file, or the folder with it (or with an app that has none).",
    ),
]
FlowerVersion = Annotated[
    str | None, Parameter(name="--flower", help='The Flower release, such as 1.42, instead of the file\'s "flower".')
]
NewFlower = Annotated[
    str | None,
    Parameter(
        name="--flower",
        help="The Flower release, such as 1.42. Default: the newest proven one that the app's own requirement allows.",
    ),
]
RunConfig = Annotated[
    list[str] | None,
    Parameter(
        name=["--run-config", "-c"],
        negative="",
        consume_multiple=False,
        help="Values for the app's run config: key=value pairs as Flower takes them, or a TOML file.",
    ),
]
On = Annotated[
    str,
    Parameter(
        name="--on",
        help="Where: local (processes on this machine), kubernetes (the current context) or kubernetes:CONTEXT.",
    ),
]
Strict = Annotated[bool, Parameter(negative="", help="Exit with 6 instead of 0 when the verdict is degraded.")]
Timeout = Annotated[
    str | None, Parameter(help="How long the run may take, such as 90s, 30m or 2h; then it is stopped (exit status 4).")
]

LOCAL = "local"
KUBERNETES = "kubernetes"


def kubernetes_context(on: str) -> tuple[bool, str | None]:
    """Tell whether ``--on`` asks for Kubernetes, and for which context; None is the current one.

    Raises
    ------
    UsageError
        If it asks for something else.
    """
    runtime, _, context = on.partition(":")
    if on == LOCAL:
        return False, None
    if runtime == KUBERNETES:
        return True, context or None
    raise UsageError(f"there is no runtime {on!r}", where="--on", hint="local, kubernetes or kubernetes:CONTEXT")
