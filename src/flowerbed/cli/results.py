"""`flowerbed results`."""

from __future__ import annotations

from pathlib import Path

from flowerbed.cli.options import Json, Where
from flowerbed.cli.output import Output
from flowerbed.cli.place import runtime_at
from flowerbed.runs.names import resolve_run


def results(run: str = "latest", /, *, file: Where = Path(), json: Json = False) -> None:
    """List what a run's ServerApp saved in the folder that FLOWERBED_RESULTS named.

    Parameters
    ----------
    run
        The run's number, Flower's id of it, or `latest`.
    """
    out = Output(as_json=json)
    runtime = runtime_at(file)
    record = resolve_run(run, runtime.runs())
    folder = runtime.folder.run(record.number) / "results"
    files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.exists() else []
    rows = [{"path": str(path), "bytes": path.stat().st_size} for path in files]
    out.data("results", {"run": record.number, "folder": str(folder), "files": rows})
    if not files:
        out.say(f"Run {record.number} saved nothing. A ServerApp saves what it writes to $FLOWERBED_RESULTS.")
        return
    out.say(str(folder))
    out.table(["FILE", "BYTES"], [[str(path.relative_to(folder)), str(path.stat().st_size)] for path in files])
