"""`flowerbed run`."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from flowerbed.cli.interrupts import until_interrupted
from flowerbed.cli.options import (
    LOCAL,
    FlowerVersion,
    Json,
    On,
    RunConfig,
    Strict,
    Timeout,
    kubernetes_context,
)
from flowerbed.cli.output import Output
from flowerbed.cli.show import follow as follow_run
from flowerbed.cli.show import say_who_is_away, show_run
from flowerbed.errors import UsageError
from flowerbed.local.prepare import Prepared, prepare
from flowerbed.local.runtime import LocalRuntime, only_one_verb
from flowerbed.local.source import find, staged
from flowerbed.runs.foreign import SUBMITTER
from flowerbed.runs.records import RunRecord
from flowerbed.runs.runtime import Event

POLL_SECONDS = 0.2


def run(
    app: Path | None = None,
    /,
    *,
    file: Annotated[Path | None, Parameter(name=["--file", "-f"])] = None,
    run_config: RunConfig = None,
    follow: Annotated[bool, Parameter(name="--follow", negative="--no-follow")] = True,
    timeout: Timeout = None,
    strict: Strict = False,
    flower: FlowerVersion = None,
    on: On = LOCAL,
    baked: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
) -> int:
    """Run a Flower App, follow it, and judge it.

    Without an `up` before it, it brings the federation up and takes it down again. An app without a
    federation.yaml gets two SuperNodes. Nothing in the app's folder is changed.

    The exit status tells the verdict: 0 succeeded (or degraded; 6 with --strict), 1 failed, 3 stopped,
    4 timed out, 5 unverified.

    Parameters
    ----------
    app
        The app's folder. Default: the app that the federation file names, here.
    file
        The federation file, where it is not the app's own federation.yaml.
    follow
        Show the run until its end. With --no-follow it goes on by itself (needs an `up` before).
    baked
        With `--on kubernetes`: submit the app that the image holds, instead of the folder.
    """
    out = Output(as_json=json)
    if app is not None and "=" in app.name and not app.exists():
        raise UsageError(
            f"{str(app)!r} is taken for the app's folder",
            hint="Write --run-config before each pair, or all pairs in one pair of quotes.",
        )
    asked, context = kubernetes_context(on)
    if asked:
        from flowerbed.cli import on_kubernetes

        return on_kubernetes.run(
            out,
            file if file is not None else app or Path(),
            context,
            app=app if file is not None else None,
            config=run_config or [],
            following=follow,
            timeout=timeout,
            strict=strict,
            flower=flower,
            baked=baked,
        )
    if baked:
        raise UsageError("--baked needs --on kubernetes", hint="On this machine the folder is what runs.")
    source = find(file if file is not None else app or Path(), app=app if file is not None else None)
    with out.working("preparing"):
        prepared = prepare(source, flower=flower, progress=out.progress, config=run_config or [], timeout=timeout)
    runtime = LocalRuntime(prepared.folder)
    if not follow and not runtime.is_up():
        raise UsageError("--no-follow needs a federation that stays up", hint="Start one first: flowerbed up --detach")
    return run_prepared(out, prepared, runtime, following=follow, strict=strict)


def run_prepared(
    out: Output, prepared: Prepared, runtime: LocalRuntime, *, following: bool = True, strict: bool = False
) -> int:
    """Run what was prepared; return the exit status of its verdict."""
    fresh = False
    with until_interrupted() as interrupted:
        try:
            with only_one_verb(prepared.folder, waiting=out.step):
                if not runtime.serves(prepared.plan):
                    with out.working("starting the federation"):
                        fresh = runtime.up(prepared.plan, tied=True, watch=out.event, interrupted=interrupted)
                else:
                    _say_what_is_not_applied(out, prepared, runtime)
                say_who_is_away(out, runtime.status().external)
                with staged(prepared.source) as folder:
                    number = runtime.submit(
                        folder, prepared.run_config, timeout=prepared.timeout, name=str(prepared.manifest)
                    )
            if not following:
                out.data("run", runtime.run(number))
                out.say(f"Run {number} is submitted. See it: flowerbed logs {number} --follow")
                return 0
            record = follow_run(out, runtime, number, interrupted=interrupted, stop=fresh)
        finally:
            if fresh:
                with out.working("taking the federation down"):
                    _take_down(out, runtime, interrupted)
    if fresh:
        record = runtime.run(number)
    show_run(out, record, log=str(prepared.folder.run(record.number) / "serverapp.log"))
    if record.verdict is None:
        out.say(f"Run {number} goes on. See it: flowerbed logs {number} --follow; end it: flowerbed stop {number}")
        return 130
    return record.verdict.exit_code(strict=strict)


def _say_what_is_not_applied(out: Output, prepared: Prepared, runtime: LocalRuntime) -> None:
    """Say what of the federation file has changed since `up`: the run goes on what is up."""
    loaded = prepared.source.loaded
    if loaded is not None and (message := runtime.unapplied(prepared.plan, loaded.path.name)):
        out.event(Event(time.time(), "change", prepared.plan.federation, message))


def _take_down(out: Output, runtime: LocalRuntime, interrupted: Callable[[], int]) -> None:
    """Take down what this command brought up, once no run of another command needs it any more."""
    while True:
        with only_one_verb(runtime.folder, waiting=out.step):
            others = [] if interrupted() else runtime.store.runs(unfinished=True) or _adopted(runtime)
            if not others:
                runtime.down(hurry=lambda: interrupted() > 1)
                return
        submitter = SUBMITTER if others[0].foreign else "another command"
        out.step(f"waiting for run {others[0].number}, which {submitter} submitted")
        time.sleep(POLL_SECONDS)


def _adopted(runtime: LocalRuntime) -> list[RunRecord]:
    """Return the unfinished runs after a last look for those that somebody else submitted."""
    runtime.adopt()
    return runtime.store.runs(unfinished=True)
