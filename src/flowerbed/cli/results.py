"""`flowerbed results`."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from flowerbed.cli.options import LOCAL, Json, On, Where, kubernetes_context
from flowerbed.cli.output import Output
from flowerbed.cli.place import federation_at
from flowerbed.cli.progress import Progress
from flowerbed.errors import FlowerbedError, UnknownRunError
from flowerbed.runs.names import may_name_a_run, resolve_run
from flowerbed.runs.records import Phase, RunRecord
from flowerbed.runs.saved import Saved


def results(
    run: str = "latest",
    /,
    *files: str,
    file: Where = Path(),
    into: Annotated[Path | None, Parameter(name=["--into", "--output", "-o"])] = None,
    only_list: Annotated[bool, Parameter(name="--list", negative=())] = False,
    on: On = LOCAL,
    json: Json = False,
) -> None:
    """List what a run's ServerApp saved where it works, or fetch some of it; from a cluster, all is fetched.

    Parameters
    ----------
    run
        The run's number, Flower's id of it, or `latest`.
    files
        Only these: names of files or folders, or patterns such as 'plots/*'.
    into
        The folder to fetch into. Default: on this machine none, as the files are there already; from a cluster one
        below .flowerbed, beside the federation file.
    only_list
        From a cluster, too, only list.
    """
    out = Output(as_json=json)
    asked, context = kubernetes_context(on)
    if asked:
        from flowerbed.cli import on_kubernetes

        on_kubernetes.results(out, file, context, run, files, into, only_list=only_list)
        return
    from flowerbed.local import results as local

    runtime = federation_at(file)
    runtime.adopt()
    record = run_of(run, files, runtime.runs())
    folder = runtime.folder.run(record.number) / "results"
    found = local.saved(folder)
    chosen = found.chosen(files)
    if into is not None and not only_list:
        refuse_nothing(out, record, str(folder), chosen)
        with out.working(f"copying results of run {record.number}"):
            local.copy(folder, chosen, into, arrived(out, record, chosen))
        folder = into
    show_results(out, record, str(folder), chosen)


def run_of(run: str, files: Sequence[str], records: Sequence[RunRecord]) -> RunRecord:
    """Return the run whose results are meant.

    Raises
    ------
    UnknownRunError
        If there is none; where a file stands in its place, with the command to type.
    """
    if records and not may_name_a_run(run):
        command = shlex.join(["flowerbed", "results", "latest", run, *files])
        raise UnknownRunError(f"{run!r} names no run", hint=f"If it is a file, name the run before it: {command}")
    return resolve_run(run, records)


def refuse_nothing(out: Output, record: RunRecord, folder: str, chosen: Saved) -> None:
    """Refuse to fetch where all that was asked for is left out; say why.

    Raises
    ------
    FlowerbedError
        If it is.
    """
    if chosen.left_out and not chosen.files:
        show_results(out, record, folder, chosen)
        raise FlowerbedError(f"nothing of run {record.number} was fetched: all that was asked for is left out")


def arrived(out: Output, record: RunRecord, what: Saved) -> Callable[[int], None]:
    """Return a callback that counts the bytes that arrive and shows the progress."""
    progress, done = Progress(out, f"results of run {record.number}"), 0

    def more(count: int) -> None:
        nonlocal done
        done = min(done + count, what.size)
        progress(done, what.size)

    return more


def show_results(out: Output, record: RunRecord, folder: str, what: Saved) -> None:
    """Show the files that a run's ServerApp saved, and what is left out."""
    listed = [{"path": f"{folder}/{file.name}", "bytes": file.size, "name": file.name} for file in what.files]
    left_out = [{"name": name, "why": why} for name, why in what.left_out]
    out.data("results", {"run": record.number, "folder": folder, "files": listed, "left_out": left_out})
    if what.files:
        out.say(folder)
        out.table(["FILE", "BYTES"], [[file.name, str(file.size)] for file in what.files])
    elif not what.left_out:
        said = "saved nothing" if record.phase is Phase.FINISHED else "has saved nothing yet"
        out.say(f"Run {record.number} {said}. A ServerApp saves what it writes where it works.")
    for name, why in what.left_out:
        out.say(f"! {name} is left out: {why}.")
