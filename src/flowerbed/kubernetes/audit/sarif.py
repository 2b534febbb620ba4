"""Results as SARIF 2.1.0 (docs.oasis-open.org/sarif/sarif/v2.1.0), which code hosts show beside the lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from flowerbed import __version__
from flowerbed.errors import Problem
from flowerbed.kubernetes.audit.model import Check, Result

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def log(checks: Sequence[Check[Any]], results: Iterable[tuple[Result, Problem]]) -> dict[str, Any]:
    """Return a log with one run.

    Parameters
    ----------
    checks : sequence of Check
        All that were made.
    results : iterable of (Result, Problem)
        What was found, with its place in the file.
    """
    index = {check.id: number for number, check in enumerate(checks)}
    driver = {"name": "flowerbed", "version": __version__, "rules": [_rule(check) for check in checks]}
    found = [_result(result, problem, index[result.check.id]) for result, problem in results]
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": found}],
    }


def _rule(check: Check[Any]) -> dict[str, Any]:
    return {
        "id": check.id,
        "shortDescription": {"text": check.title},
        "defaultConfiguration": {"level": check.severity.value},
    }


def _result(result: Result, problem: Problem, rule: int) -> dict[str, Any]:
    hint = f" ({problem.hint})" if problem.hint else ""
    return {
        "ruleId": result.check.id,
        "ruleIndex": rule,
        "level": result.check.severity.value,
        "message": {"text": f"{problem.message}{hint}"},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": quote(PurePath(problem.file).as_posix())},
                    "region": {"startLine": problem.line, "startColumn": problem.column},
                }
            }
        ],
    }
