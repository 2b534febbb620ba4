"""`flowerbed stop`."""

from __future__ import annotations

from pathlib import Path

from flowerbed.cli.options import LOCAL, Json, On, Where, kubernetes_context
from flowerbed.cli.output import Output
from flowerbed.cli.place import federation_at
from flowerbed.runs.history import stopped
from flowerbed.runs.names import resolve_run
from flowerbed.runs.records import Phase


def stop(run: str, /, *, file: Where = Path(), on: On = LOCAL, json: Json = False) -> None:
    """Stop a run.

    Parameters
    ----------
    run
        The run's number, Flower's id of it, or `latest`.
    """
    out = Output(as_json=json)
    asked, context = kubernetes_context(on)
    if asked:
        from flowerbed.cli import on_kubernetes

        on_kubernetes.stop(out, file, context, run)
        return
    runtime = federation_at(file)
    runtime.adopt()
    record = resolve_run(run, runtime.runs())
    finished = runtime.run(record.number).phase is Phase.FINISHED
    if not finished:
        with out.working(f"stopping run {record.number}"):
            runtime.stop(record.number)
            record = runtime.wait_finished(record.number)
    else:
        record = runtime.run(record.number)
    out.data("run", record)
    out.say(stopped(record, before=finished))
