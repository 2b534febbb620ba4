"""`flowerbed runs`."""

from __future__ import annotations

from pathlib import Path

from flowerbed.cli.options import LOCAL, Json, On, Where, kubernetes_context
from flowerbed.cli.output import Output
from flowerbed.cli.place import federation_at
from flowerbed.cli.show import show_run, show_runs
from flowerbed.runs.names import resolve_run


def runs(run: str | None = None, /, *, file: Where = Path(), on: On = LOCAL, json: Json = False) -> None:
    """Show the history of runs, or one run round by round.

    Parameters
    ----------
    run
        The run's number, Flower's id of it, or `latest`. Without it all runs are listed.
    """
    out = Output(as_json=json)
    asked, context = kubernetes_context(on)
    if asked:
        from flowerbed.cli import on_kubernetes

        on_kubernetes.runs(out, file, context, run)
        return
    runtime = federation_at(file)
    if runtime.folder.database.exists():
        runtime.adopt()
    records = [runtime.run(record.number) for record in runtime.runs()] if runtime.folder.database.exists() else []
    if run is not None:
        record = resolve_run(run, records)
        show_run(out, record, log=str(runtime.folder.run(record.number) / "serverapp.log"))
        return
    show_runs(out, records, start="flowerbed run")
