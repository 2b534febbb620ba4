"""Options that several commands share, described once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

Json = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON object per line, for programs.")]
Where = Annotated[
    Path,
    Parameter(
        name=["--file", "-f"],
        help="The federation file, or the folder with it (or with an app that has none).",
    ),
]
FlowerVersion = Annotated[
    str | None, Parameter(name="--flower", help='The Flower release, such as 1.41, instead of the file\'s "flower".')
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
Strict = Annotated[bool, Parameter(negative="", help="Exit with 6 instead of 0 when the verdict is degraded.")]
Timeout = Annotated[
    str | None, Parameter(help="How long the run may take, such as 90s, 30m or 2h; then it is stopped (exit status 4).")
]
