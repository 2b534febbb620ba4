"""`flowerbed up`."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from flowerbed.cli.interrupts import until_interrupted
from flowerbed.cli.options import LOCAL, FlowerVersion, Json, On, Where, kubernetes_context
from flowerbed.cli.output import Output
from flowerbed.counting import counted
from flowerbed.errors import UsageError
from flowerbed.local.prepare import prepare
from flowerbed.local.runtime import LocalRuntime, only_one_verb
from flowerbed.local.source import find


def up(
    *,
    file: Where = Path(),
    detach: Annotated[bool, Parameter(name=["--detach", "-d"], negative="")] = False,
    flower: FlowerVersion = None,
    on: On = LOCAL,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    force_conflicts: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
) -> int:
    """Start a federation, on this machine or in a cluster, and return when it is observed ready.

    Ready means that the SuperLink knows every SuperNode as online and that every SuperExec is connected, but for those
    of external pools: nobody waits for them.
    Run again, it changes only what the file changes. On this machine, in the foreground, it stays until Ctrl-C.

    Parameters
    ----------
    detach
        Return once it is ready, and leave it running. In a cluster it always does.
    dry_run
        With `--on kubernetes`: show as a diff what would change, as the API server sees it, and change nothing.
    force_conflicts
        With `--on kubernetes`: take over fields that another field manager owns, instead of refusing.
    """
    out = Output(as_json=json)
    asked, context = kubernetes_context(on)
    if asked:
        from flowerbed.cli import on_kubernetes

        return on_kubernetes.up(out, file, context, flower=flower, dry_run=dry_run, force=force_conflicts)
    if dry_run or force_conflicts:
        raise UsageError("--dry-run and --force-conflicts need --on kubernetes", where="up")
    source = find(file)
    with out.working("preparing"):
        prepared = prepare(source, flower=flower, progress=out.progress)
    runtime = LocalRuntime(prepared.folder)
    with until_interrupted() as interrupted:  # from the start: a Ctrl-C right at the end of the start counts too
        with only_one_verb(prepared.folder, waiting=out.step), out.working("starting"):
            fresh = runtime.up(prepared.plan, tied=not detach, watch=out.event, interrupted=interrupted)
            _settle_trust(out, runtime)
        found = runtime.status()
        out.data("status", found)
        out.say(
            f"{found.name} is ready: Flower {found.flower}, {counted(found.nodes_online, 'SuperNode')} online,"
            f" {counted(found.superexecs_connected, 'SuperExec')} connected{found.external_counts}."
        )
        if detach or not fresh:
            out.say("Run the app with `flowerbed run`; see `flowerbed status`; end with `flowerbed down`.")
            return 0
        out.say("Run the app with `flowerbed run` in another terminal. Ctrl-C takes the federation down.")
        return _stay(out, runtime, interrupted)


def _settle_trust(out: Output, runtime: LocalRuntime) -> None:
    """Complete what `flowerbed trust rotate`, or an `up` whose authority was due, has begun."""
    if not runtime.folder.trust.handover.exists():
        return
    from flowerbed.local import trusting  # cryptography takes a moment to import, and this is rare

    trusting.settle(runtime, watch=out.event)


def _stay(out: Output, runtime: LocalRuntime, interrupted: Callable[[], int]) -> int:
    """Show what happens until Ctrl-C; the first takes down cleanly, a second one at once."""
    after = runtime.store.last_event()
    while runtime.is_up():
        for number, event in runtime.events(after=after):
            after = number
            out.event(event)
        if interrupted():
            out.say("Taking the federation down; Ctrl-C again does it at once.")
            runtime.down(watch=out.event, hurry=lambda: interrupted() > 1)
            return 0
        time.sleep(0.1)
    status = runtime.status()
    out.say(f"The federation is down. {status.reason}".rstrip())
    return 0 if status.reason == "" else 1
