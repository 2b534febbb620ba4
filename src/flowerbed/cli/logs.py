"""`flowerbed logs`."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from flowerbed.cli.options import LOCAL, Json, On, Where, kubernetes_context
from flowerbed.cli.output import Output
from flowerbed.cli.place import federation_at
from flowerbed.errors import StateError, UsageError
from flowerbed.local import logs as component_logs
from flowerbed.local.layout import StateFolder
from flowerbed.local.runtime import LocalRuntime
from flowerbed.runs.names import resolve_run
from flowerbed.runs.records import Phase
from flowerbed.spec.words import nearest
from flowerbed_inside.text import WholeLines

POLL_SECONDS = 0.2


def logs(
    of: str | None = None, /, *, file: Where = Path(), follow: bool = False, on: On = LOCAL, json: Json = False
) -> None:
    """Show the log of a component or of a run.

    Parameters
    ----------
    of
        A component (`superlink`, `hospital-0`, `hospital-0-superexec`, `superexec-serverapp`) or a run
        (`3`, `latest`, Flower's id). Without it the logs that there are get listed.
    follow
        Go on as the log grows, until Ctrl-C or the run's end.
    """
    out = Output(as_json=json)
    asked, context = kubernetes_context(on)
    if asked:
        from flowerbed.cli import on_kubernetes

        on_kubernetes.logs(out, file, context, of, follow=follow)
        return
    runtime = federation_at(file)
    components = {path.stem: path for path in sorted(runtime.folder.logs.glob("*.log"))}
    if of is None:
        _list(out, runtime, components)
        return
    if of in components:
        _show_of(out, runtime.folder, components[of], follow, lambda: runtime.is_up())
        return
    runtime.adopt()
    records = runtime.runs()
    if not of.removeprefix("#").isdigit() and of not in ("latest", "last"):
        near = nearest(of, components)
        raise UsageError(
            f"there is no component {of!r}" + (f"; did you mean {near!r}?" if near else ""),
            hint=f"Components with a log: {', '.join(components) or 'none yet'}. Runs go by number, or `latest`.",
        )
    record = resolve_run(of, records)
    path = runtime.folder.run(record.number) / "serverapp.log"
    _show_of(out, runtime.folder, path, follow, lambda: runtime.run(record.number).phase is not Phase.FINISHED)


def _list(out: Output, runtime: LocalRuntime, components: dict[str, Path]) -> None:
    rows = [[name, str(component_logs.size(path)), str(path)] for name, path in components.items()]
    if runtime.folder.database.exists():
        for record in runtime.runs():
            path = runtime.folder.run(record.number) / "serverapp.log"
            rows.append([f"run {record.number}", str(component_logs.size(path)), str(path)])
    out.table(["LOG", "BYTES", "FILE"], rows)
    for name, size, place in rows:
        out.data("log", {"name": name, "bytes": int(size), "path": place})


def _show_of(out: Output, folder: StateFolder, path: Path, follow: bool, going_on: Callable[[], bool]) -> None:
    """Show a log of a federation; say so where somebody deletes or moves its state folder meanwhile."""
    kept = folder.database.exists()
    _show(out, path, follow, going_on)
    if follow and kept and not folder.database.exists():
        raise StateError(
            "the state folder was deleted or moved, so the federation was taken down",
            where=str(folder.root),
            hint="Start it again with `flowerbed up`.",
        )


def _show(out: Output, path: Path, follow: bool, going_on: Callable[[], bool]) -> None:
    log, lines = component_logs.Growing(path), WholeLines()
    while True:
        more = going_on() if follow else False
        for line in lines.feed(log.read()):
            out.log_line(line)
        if not more:
            break
        time.sleep(POLL_SECONDS)
    for line in lines.finish():
        out.log_line(line)
