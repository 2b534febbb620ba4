"""`flowerbed results`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from flowerbed.cli.options import LOCAL, Json, On, Where, kubernetes_context
from flowerbed.cli.output import Output
from flowerbed.cli.place import federation_at
from flowerbed.cli.show import show_results
from flowerbed.runs.names import resolve_run


def results(
    run: str = "latest",
    /,
    *,
    file: Where = Path(),
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    on: On = LOCAL,
    json: Json = False,
) -> None:
    """List what a run's ServerApp saved in the folder that FLOWERBED_RESULTS named; from a cluster, fetch it first.

    Parameters
    ----------
    run
        The run's number, Flower's id of it, or `latest`.
    output
        The folder to fetch into, with `--on kubernetes`. Default: one below .flowerbed, beside the federation file.
    """
    out = Output(as_json=json)
    asked, context = kubernetes_context(on)
    if asked:
        from flowerbed.cli import on_kubernetes

        on_kubernetes.results(out, file, context, run, output)
        return
    runtime = federation_at(file)
    runtime.adopt()
    record = resolve_run(run, runtime.runs())
    folder = runtime.folder.run(record.number) / "results"
    show_results(out, record.number, folder)
