"""`flowerbed env list` and `flowerbed env prune`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from flowerbed.cli.cached import DAY, ago, tell_removed
from flowerbed.cli.options import Json
from flowerbed.cli.output import Output
from flowerbed.environments.pruning import Listed, list_environments
from flowerbed.environments.pruning import prune as prune_environments


def list_(*, json: Json = False) -> None:
    """List Flower's environments in the cache, last used first.

    Each is for one exact Flower release, one Python and one set of app dependencies; federations share them.
    """
    out = Output(as_json=json)
    found = list_environments()
    _show(out, found)
    if not found:
        out.say("There are no environments yet; the first `flowerbed up` or `run` builds one.")


def prune(
    *,
    older_than: Annotated[float, Parameter(help="Days for which nobody used it.")] = 30.0,
    all: Annotated[bool, Parameter(name="--all", negative="")] = False,  # noqa: A002 - the flag's name
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
) -> None:
    """Delete environments that nobody has used for a while; never one that is in use.

    Parameters
    ----------
    all
        Delete all that are not in use, however recently they were used.
    dry_run
        Only say what would be deleted.
    """
    out = Output(as_json=json)
    removed = prune_environments(older_than=older_than * DAY, everything=all, dry_run=dry_run)
    _show(out, removed)
    tell_removed(out, (item.size for item in removed), dry_run=dry_run)


def _show(out: Output, items: list[Listed]) -> None:
    for item in items:
        out.data("environment", _row(item))
    if items:
        out.table(
            ["FLOWER", "PYTHON", "MB", "LAST USED", "IN USE", "FOR", "FOLDER"],
            [
                [
                    item.environment.release if item.environment else "broken",
                    item.environment.python_version if item.environment else "-",
                    f"{item.size / 1e6:.0f}",
                    ago(item.last_used),
                    "yes" if item.in_use else "no",
                    " ".join(item.environment.requirements) if item.environment else "-",
                    str(item.path),
                ]
                for item in items
            ],
        )


def _row(item: Listed) -> dict[str, object]:
    return {
        "folder": str(item.path),
        "flower": item.environment.release if item.environment else None,
        "python": item.environment.python_version if item.environment else None,
        "requirements": list(item.environment.requirements) if item.environment else [],
        "packages": list(item.environment.packages) if item.environment else [],
        "bytes": item.size,
        "last_used": item.last_used,
        "in_use": item.in_use,
    }
