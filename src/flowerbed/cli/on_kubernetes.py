"""The verbs with ``--on kubernetes``: what the command modules do locally, on a federation in a cluster."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from packaging.requirements import Requirement

from flowerbed.cli.failure import tell
from flowerbed.cli.interrupts import interruptible, until_interrupted
from flowerbed.cli.output import Output
from flowerbed.cli.results import arrived, refuse_nothing, run_of, show_results
from flowerbed.cli.show import follow as follow_run
from flowerbed.cli.show import say_who_is_away, show_run, show_runs
from flowerbed.counting import counted
from flowerbed.errors import FlowerbedError, UnknownRunError, UsageError
from flowerbed.flower.releases import Row
from flowerbed.flower.staging import stage
from flowerbed.kubernetes.cluster import Cluster
from flowerbed.kubernetes.living import container, container_statuses, name
from flowerbed.kubernetes.opening import Opened, open_file
from flowerbed.kubernetes.results import fetch, fetch_some, saved
from flowerbed.kubernetes.runtime import KubernetesRuntime
from flowerbed.runs.history import stopped
from flowerbed.runs.names import resolve_run
from flowerbed.runs.records import Phase
from flowerbed.spec.run_config_check import run_config
from flowerbed.spec.values import duration_seconds
from flowerbed.spec.words import nearest

POLL_SECONDS = 2.0
PREFIXES = ("supernode", "superexec")
"""How the lines of a unit's two programs begin in its Pod's log."""


@contextmanager
def opened(place: Path, context: str | None, *, app: Path | None = None) -> Iterator[tuple[Opened, KubernetesRuntime]]:
    """Open a federation file and its runtime in the cluster."""
    found = open_file(place, app=app)
    cluster = Cluster.connect(context)
    namespace = found.federation.metadata.namespace or cluster.default_namespace
    runtime = KubernetesRuntime(cluster, found.name, namespace)
    try:
        yield found, runtime
    finally:
        runtime.close()
        cluster.close()


def up(out: Output, place: Path, context: str | None, *, flower: str | None, dry_run: bool, force: bool) -> int:
    """Apply the file and return when the federation is observed ready."""
    with opened(place, context) as (found, runtime):
        release = found.row(flower)
        run_config(found.loaded, found.manifest)
        found = _verified(found.pinned(release), release)
        wanted = found.objects(release, runtime.namespace)
        if dry_run:
            difference = runtime.preview(found.federation, wanted, release, force=force)
            out.data("diff", {"changes": bool(difference), "diff": difference}, exact=True)
            out.say(difference.rstrip() or "Nothing would change.")
            return 0
        with until_interrupted() as interrupted, out.working("applying"):
            runtime.up(found.federation, wanted, release, watch=out.event, interrupted=interrupted, force=force)
        status = runtime.status()
        out.data("status", status)
        if status.state != "ready":
            out.say(f"{status.name} was ready and is {status.state}: {status.reason}")
            return 1
        out.say(
            f"{status.name} is ready in the namespace {runtime.namespace}: Flower {status.flower},"
            f" {counted(status.nodes_online, 'SuperNode')} online,"
            f" {counted(status.superexecs_connected, 'SuperExec')} connected"
            f"{status.external_counts}."
        )
        out.say("Run the app with `flowerbed run --on kubernetes`; end with `flowerbed down --on kubernetes`.")
        return 0


def _verified(found: Opened, release: Row) -> Opened:
    """Return the same with images that can be used, signed if the file says by whom."""
    found.check_images(release)
    if found.federation.spec.security.signatures is None:
        return found
    from flowerbed.kubernetes.signing import verified  # cryptography takes a moment, and few files need it

    return verified(found, release)


def run(
    out: Output,
    place: Path,
    context: str | None,
    *,
    app: Path | None,
    config: list[str],
    following: bool,
    timeout: str | None,
    strict: bool,
    flower: str | None,
    baked: bool,
) -> int:
    """Run the app in the cluster, follow it, and judge it."""
    with opened(place, context, app=app) as (found, runtime):
        release = found.row(flower)
        found = _verified(found.pinned(release), release)
        wanted_config: dict[str, object] = dict(run_config(found.loaded, found.manifest, config))
        limit = _limit(found, timeout)
        if found.manifest is None and not baked:
            raise UsageError(
                "there is no app to submit: no pyproject.toml",
                where=str(found.app),
                hint="Name the app's folder, or submit what the image holds with --baked.",
            )
        if not following and not runtime.is_up():
            raise UsageError("--no-follow needs a federation that stays up", hint="flowerbed up --on kubernetes")
        return _run(out, found, runtime, release, wanted_config, limit, following=following, strict=strict, baked=baked)


def _run(
    out: Output,
    found: Opened,
    runtime: KubernetesRuntime,
    release: Row,
    config: dict[str, object],
    limit: float | None,
    *,
    following: bool,
    strict: bool,
    baked: bool,
) -> int:
    fresh = False
    with until_interrupted() as interrupted:
        try:
            if not runtime.serves(release):
                fresh = not runtime.is_up()
                with out.working("starting the federation"):
                    wanted = found.objects(release, runtime.namespace)
                    runtime.up(found.federation, wanted, release, watch=out.event, interrupted=interrupted)
            else:
                runtime.await_stale(watch=out.event, interrupted=interrupted)
            with interruptible():
                say_who_is_away(out, runtime.external())
                number = _submit(out, found, runtime, release, config, limit, baked=baked)
            if not following:
                out.data("run", runtime.run(number))
                out.say(f"Run {number} is submitted. See it: flowerbed logs {number} --follow --on kubernetes")
                if limit is not None:
                    out.say("Its time limit is kept only while a command follows it.")
                return 0
            record = follow_run(out, runtime, number, interrupted=interrupted, stop=fresh)
            if fresh:
                _await_others(out, runtime, interrupted)
        except FlowerbedError as error:
            tell(error, as_json=out.as_json)  # at once: to take down what was made can take a while
            raise
        finally:
            if fresh and runtime.created:
                _take_down(out, runtime)
    record = runtime.run(number) if record.verdict is None else record
    show_run(out, record, log=f"flowerbed logs {number} --on kubernetes")
    if record.verdict is None:
        out.say(f"Run {number} goes on. End it: flowerbed stop {number} --on kubernetes")
        return 130
    return record.verdict.exit_code(strict=strict)


def _await_others(out: Output, runtime: KubernetesRuntime, interrupted: Callable[[], int]) -> None:
    """Return once no run of somebody else needs what this command brought up."""
    while not interrupted() and (number := runtime.unfinished_run(submitted=True)) is not None:
        out.step(f"waiting for run {number}, which somebody else submitted")
        time.sleep(POLL_SECONDS)


def _take_down(out: Output, runtime: KubernetesRuntime) -> None:
    """Take down what this command has made; Ctrl-C ends that too."""
    try:
        with interruptible(), out.working("taking the federation down"):
            runtime.down(only=runtime.created)
    except KeyboardInterrupt:
        out.say("Interrupted. `flowerbed down --on kubernetes` takes down what is left.")
        raise


def _submit(
    out: Output,
    found: Opened,
    runtime: KubernetesRuntime,
    release: Row,
    config: dict[str, object],
    limit: float | None,
    *,
    baked: bool,
) -> int:
    spec = found.federation.spec
    if baked or found.manifest is None:
        title = str(found.manifest or spec.app.image)
        with out.working("submitting what the image holds"):
            return runtime.book.submit(release, spec, None, (), config, title=title, timeout=limit)
    with tempfile.TemporaryDirectory() as beside, out.working("submitting the app"):
        target = Path(beside) / "app"
        stage(found.app, target)
        requirements = _requirements(found, out)
        return runtime.book.submit(
            release, spec, target, requirements, config, title=str(found.manifest), timeout=limit
        )


def _requirements(found: Opened, out: Output) -> tuple[Requirement, ...]:
    """Return what the app in the folder asks for; who builds it is asked only where nobody else knows."""
    assert found.manifest is not None  # noqa: S101
    if not found.manifest.dynamic_dependencies:
        return found.manifest.requirements
    from flowerbed.environments.asking import dependencies
    from flowerbed.environments.python import current

    return tuple(map(Requirement, dependencies(found.app, python=current(), progress=out.say)))


def _limit(found: Opened, timeout: str | None) -> float | None:
    if timeout is None:
        return found.federation.spec.run.timeout_seconds
    seconds = duration_seconds(timeout)
    if not seconds:
        raise UsageError(
            f"{timeout!r} is not a length of time", where="--timeout", hint="For example 90s, 30m or 1h30m."
        )
    return seconds


def status(out: Output, place: Path, context: str | None) -> int:
    """Show the federation as the cluster and the SuperLink tell of it."""
    from flowerbed.cli.status import show_status

    with opened(place, context) as (_, runtime):
        return show_status(out, runtime.status(), held=f"in the namespace {runtime.namespace}")


def runs(out: Output, place: Path, context: str | None, run: str | None) -> None:
    """Show the history of runs, or one run."""
    with opened(place, context) as (_, runtime):
        runtime.adopt()
        records = [runtime.settle(record.number) for record in runtime.runs()]
        if run is not None:
            record = resolve_run(run, records)
            show_run(out, record, log=f"flowerbed logs {record.number} --on kubernetes")
            return
        show_runs(out, records, start="flowerbed run --on kubernetes")


def stop(out: Output, place: Path, context: str | None, run: str) -> None:
    """Stop a run."""
    with opened(place, context) as (_, runtime):
        runtime.adopt()
        record = resolve_run(run, runtime.runs())
        finished = record.phase is Phase.FINISHED
        if not finished:
            with out.working(f"stopping run {record.number}"):
                runtime.stop(record.number)
                record = runtime.wait_finished(record.number)
        out.data("run", record)
        out.say(stopped(record, before=finished))


def down(out: Output, place: Path, context: str | None, *, volumes: bool) -> None:
    """Take the federation down."""
    with opened(place, context) as (_, runtime):
        with out.working("taking the federation down"):
            was_up = runtime.down(volumes=volumes, watch=out.event)
        out.data("down", {"was_up": was_up, "removed": volumes})
        out.say("The federation is down." if was_up else "The federation was not up.")
        if strangers := runtime.look().strangers:
            out.say(f"Left alone: {strangers}.")
        if volumes:
            out.say("Its claims, its keys and the history of its runs are deleted.")


def results(
    out: Output,
    place: Path,
    context: str | None,
    run: str,
    files: Sequence[str],
    into: Path | None,
    *,
    only_list: bool,
) -> None:
    """Fetch what a run's ServerApp saved, or some of it, or only list it."""
    with opened(place, context) as (found, runtime):
        runtime.adopt()
        record = run_of(run, files, runtime.runs())
        beside = found.loaded.path.parent / ".flowerbed" / "kubernetes" / runtime.namespace / runtime.federation
        chosen = saved(runtime, record).chosen(files)
        if only_list:
            show_results(out, record, record.results or f"the volume of {runtime.federation}", chosen)
            return
        folder = into if into is not None else beside / "runs" / str(record.number) / "results"
        refuse_nothing(out, record, record.results or f"the volume of {runtime.federation}", chosen)
        with out.working(f"fetching results of run {record.number}"):
            progress = arrived(out, record, chosen)
            if files:
                fetch_some(runtime, record, chosen, folder, progress, ours=into is None)
            else:
                fetch(runtime, record, chosen, folder, progress)
        show_results(out, record, str(folder), chosen)


def logs(out: Output, place: Path, context: str | None, of: str | None, *, follow: bool) -> None:
    """Show the log of a component or of a run."""
    with opened(place, context) as (_, runtime):
        living = runtime.look()
        pods = {living.short(pod): pod for pod in living.pods}
        if of is None:
            _list_logs(out, pods, runtime)
            return
        short, prefix = _pod_of(of, pods)
        if short is not None:
            named = container(pods[short])
            for line in runtime.cluster.logs(name(pods[short]), runtime.namespace, container=named, follow=follow):
                _line(out, line, prefix)
            return
        if not of.removeprefix("#").isdigit() and of not in ("latest", "last"):
            near = nearest(of, pods)
            there = ", ".join(sorted(pods)) or living.strangers.removeprefix("there are ") or "none yet"
            raise UsageError(
                f"there is no component {of!r}" + (f"; did you mean {near!r}?" if near else ""),
                hint=f"There are: {there}. Runs go by number, or `latest`.",
            )
        _run_log(out, runtime, of, follow=follow)


def _list_logs(out: Output, pods: Mapping[str, Mapping[str, object]], runtime: KubernetesRuntime) -> None:
    """List what has a log, as the local runtime does; how long it is only the kubelet and the SuperLink know."""
    listed: list[tuple[str, str, str | None]] = []
    listed += [(short, str(_restarts(pod)), f"pod/{name(pod)}") for short, pod in sorted(pods.items())]
    listed += [(f"run {record.number}", "-", None) for record in runtime.runs() if record.flower_id is not None]
    out.table(["LOG", "RESTARTS", "WHERE"], [[log, restarts, at or "the SuperLink"] for log, restarts, at in listed])
    for log, _, at in listed:
        out.data("log", {"name": log, "bytes": None, "path": at})


def _run_log(out: Output, runtime: KubernetesRuntime, of: str, *, follow: bool) -> None:
    runtime.adopt()
    record = resolve_run(of, runtime.runs())
    if record.flower_id is None:
        raise UnknownRunError(f"run {record.number} was never submitted", hint=record.reason or None)
    rest, ended, lock = "", threading.Event(), threading.Lock()
    heard, nobody_reads = threading.Event(), threading.Event()

    def take(event: dict[str, object]) -> None:
        nonlocal rest
        if event["event"] == "log-end":
            ended.set()
            return
        with lock:
            *lines, rest = (rest + str(event["text"])).split("\n")
        try:
            for line in lines:
                _line(out, line, "")
        except BrokenPipeError:  # in a thread of the link's, where nobody would catch it
            nobody_reads.set()
            ended.set()
        heard.set()

    runtime.observer.link.follow(record.flower_id, take, lambda: 0.0)
    runtime.observer.link.ask("hello")
    if follow:
        while not ended.wait(1.0):
            continue
    else:
        while not ended.is_set() and heard.wait(1.5):  # what there is comes at once
            heard.clear()
    if nobody_reads.is_set():
        raise BrokenPipeError
    if rest:
        _line(out, rest, "")


def _pod_of(of: str, pods: Mapping[str, Mapping[str, object]]) -> tuple[str | None, str]:
    """Return the short name of the Pod of a component as either runtime calls it, and how its lines begin there."""
    if of in pods:
        return of, ""
    if of.endswith("-superexec") and of.removesuffix("-superexec") in pods:
        return of.removesuffix("-superexec"), "superexec | "
    whole = [short for short in pods if short.startswith(f"{of}-") and of in ("superlink", "superexec-serverapp")]
    return (whole[0], "") if whole else (None, "")


def _line(out: Output, line: str, prefix: str) -> None:
    if line.startswith(prefix):
        out.log_line(line.removeprefix(prefix))


def _restarts(pod: Mapping[str, object]) -> int:
    return sum(int(status.get("restartCount") or 0) for status in container_statuses(pod))
