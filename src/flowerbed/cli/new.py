"""`flowerbed new`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from flowerbed import templates
from flowerbed.cli.options import Json, NewFlower
from flowerbed.cli.output import Output
from flowerbed.flower.releases import find as find_release


def new(
    name: str,
    /,
    *,
    template: Literal["sklearn", "pytorch"] = "sklearn",
    into: Annotated[Path, Parameter(help="The folder in which the app's folder is made.")] = Path(),
    flower: NewFlower = None,
    json: Json = False,
) -> None:
    """Write a working Flower App with its federation.yaml.

    Parameters
    ----------
    name
        The app's name: letters, digits and hyphens, at most 32.
    template
        `sklearn`: scikit-learn on its digits data. `pytorch`: a small network on the same data.
    """
    out = Output(as_json=json)
    if flower is not None:
        find_release(flower)
    target = into / name
    files = templates.write(template, target, name, flower)
    out.data("new", {"folder": str(target), "files": [str(path) for path in files]})
    out.say(f"Wrote {target}:")
    for path in files:
        out.say(f"  {path}")
    out.say(f"Run it: flowerbed run {target}")
