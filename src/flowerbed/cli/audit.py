"""`flowerbed audit`."""

from __future__ import annotations

import json as json_format
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from flowerbed.cli.options import LOCAL, FlowerVersion, Json, On, Where, kubernetes_context
from flowerbed.cli.output import Output
from flowerbed.counting import counted
from flowerbed.errors import NotRunning, UsageError
from flowerbed.kubernetes.audit import sarif
from flowerbed.kubernetes.audit.checks import CHECKS
from flowerbed.kubernetes.audit.lived import LIVED_CHECKS
from flowerbed.kubernetes.audit.model import Audited, Check, Result, Severity
from flowerbed.kubernetes.audit.model import audit as look
from flowerbed.kubernetes.opening import Opened, open_file
from flowerbed.spec.words import nearest


def audit(
    *,
    file: Where = Path(),
    format: Literal["text", "sarif"] = "text",  # noqa: A002 - the option's name
    skip: Annotated[list[str] | None, Parameter(negative="", consume_multiple=False)] = None,
    fail_on: Literal["error", "warning", "note", "never"] = "warning",
    on: On = LOCAL,
    flower: FlowerVersion = None,
    json: Json = False,
) -> int:
    """Say what can be said against a federation file, as it would run on Kubernetes. No cluster is touched.

    With `--on kubernetes` it is said of the federation as it lives in a cluster, and of what differs from the file.
    Nothing is changed either way. The exit status is 1 if anything is found that is bad enough (--fail-on), else 0.

    Parameters
    ----------
    format
        Lines for people, or SARIF for code hosts and editors.
    skip
        The id of a check that is not to be made; more than once for several.
    fail_on
        From which severity on the exit status is 1.
    """
    out = Output(as_json=json)
    if json and format != "text":
        raise UsageError("--json and --format sarif are two formats", where="--format", hint="Leave one out.")
    asked, context = kubernetes_context(on)
    checks: list[Check[Any]] = [*CHECKS, *(LIVED_CHECKS if asked else ())]
    known = [check.id for check in checks]
    for name in skip or []:
        if name not in known:
            guess = nearest(name, known)
            hint = f'Did you mean "{guess}"?' if guess else f"There is {', '.join(known)}."
            raise UsageError(f"there is no check {name!r}", where="--skip", hint=hint)
    if asked:
        found, results = _living(file, context, flower, checks, skip or ())
    else:
        found = open_file(file)
        row = found.row(flower)
        results = look(CHECKS, Audited.of(found.pinned(row).federation, row), skip=skip or ())
    placed = [(result, found.loaded.problem(result.finding)) for result in results]
    if format == "sarif":
        made = [check for check in checks if check.id not in (skip or ())]
        print(json_format.dumps(sarif.log(made, placed), indent=2))
    for result, problem in placed if format == "text" else ():
        check = result.check
        out.data(
            "finding",
            {
                "id": check.id,
                "severity": check.severity.value,
                "message": problem.message,
                "fix": problem.hint,
                "file": problem.file,
                "line": problem.line,
                "column": problem.column,
            },
        )
        out.say(f"{problem.file}:{problem.line}:{problem.column}: {check.severity} {check.id}: {problem.message}")
        if problem.hint:
            out.say(f"  {problem.hint}")
    if format == "text":
        counts = [(severity, sum(1 for one in results if one.check.severity is severity)) for severity in Severity]
        said = ", ".join(counted(count, severity) for severity, count in counts if count)
        out.say(f"{len(known) - len(set(skip or ()))} checks: {said or 'nothing to say'}")
    bad = fail_on != "never" and any(one.check.severity.reaches(Severity(fail_on)) for one in results)
    return 1 if bad else 0


def _living(
    file: Path, context: str | None, flower: str | None, checks: list[Check[Any]], skip: Iterable[str]
) -> tuple[Opened, list[Result]]:
    from flowerbed.cli.on_kubernetes import opened
    from flowerbed.kubernetes.auditing import lived

    with opened(file, context) as (found, runtime):
        living = runtime.look()
        if not living.exists:
            beside = f"; {living.strangers}" if living.strangers else ""
            raise NotRunning(
                f"there is no federation {found.name} in the namespace {runtime.namespace}{beside}",
                hint="`flowerbed up --on kubernetes` starts it; without --on the file alone is audited.",
            )
        row = found.row(flower or living.release or None)
        found = found.pinned(row)
        return found, look(checks, lived(found, row, runtime.cluster, runtime.namespace), skip=skip)
