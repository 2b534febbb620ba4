"""`flowerbed status`."""

from __future__ import annotations

from pathlib import Path

from flowerbed.cli.options import LOCAL, Json, On, Where, kubernetes_context
from flowerbed.cli.output import Output
from flowerbed.cli.place import federation_at
from flowerbed.counting import part_of
from flowerbed.runs.history import line
from flowerbed.runs.runtime import FederationStatus


def status(*, file: Where = Path(), on: On = LOCAL, json: Json = False) -> int:
    """Show what is running, as it was last observed.

    The exit status is 0 when the federation is ready and 1 when it is not.
    """
    out = Output(as_json=json)
    asked, context = kubernetes_context(on)
    if asked:
        from flowerbed.cli import on_kubernetes

        return on_kubernetes.status(out, file, context)
    runtime = federation_at(file)
    found = runtime.status()
    return show_status(out, found, held=f"supervised by process {found.supervisor_pid}" if found.supervisor_pid else "")


def show_status(out: Output, found: FederationStatus, *, held: str) -> int:
    """Show a status; return the exit status that tells whether it is ready.

    Parameters
    ----------
    held : str
        By whom, or where, it is held up; empty if it is not.
    """
    out.data("status", found)
    out.say(f"{found.name}: {found.state}" + (f", Flower {found.flower}" if found.flower else ""))
    counts = (
        f"{part_of(found.nodes_online, found.nodes_expected, 'SuperNode')} online,"
        f" {part_of(found.superexecs_connected, found.superexecs_expected, 'SuperExec')} connected"
    )
    if held and found.components:
        out.say(f"{counts}{found.external_counts}; {held}")
    if found.reason and (found.state != "degraded" or found.reason != counts):  # then the line above says it
        out.say(found.reason)
    if found.trouble:
        out.say(f"The supervisor cannot write down what it observes: {found.trouble}")
    if found.components:
        out.say()
        out.table(
            ["COMPONENT", "STATE", "PID", "RESTARTS", "LISTENS ON", "NOTE"],
            [
                [
                    component.name,
                    component.state,
                    str(component.pid or "-"),
                    str(component.restarts),
                    " ".join(f"{port}={address}" for port, address in component.addresses.items()) or "-",
                    component.remark,
                ]
                for component in found.components
            ],
            long="LISTENS ON",
        )
    for record in found.runs:
        out.say(line(record))
    return 0 if found.state == "ready" else 1
