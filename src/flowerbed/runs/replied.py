"""What the SuperLink counted of a run's messages, in sums, names and words, and what it says of the run. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from flowerbed.counting import counted
from flowerbed.runs.events import ReplyError
from flowerbed.runs.records import Replies, RunRecord, Verdict

NAMED = 5
"""SuperNodes that a sentence names at most."""
ROWS = 20
"""Rows of a table at most."""

_RAISED = re.compile(r"<class '(?:builtins\.)?(?P<type>[\w.<>]+)'>:<['\"]?(?P<message>.*?)(?:['\"]?>)?$", re.DOTALL)


def named(replies: Sequence[Replies] | None, names: Mapping[str, str]) -> tuple[Replies, ...] | None:
    """Return what was counted with the SuperNodes' names, by Flower's ids of them; in the order of the names."""
    if replies is None:
        return None
    rows = [replace(one, name=names.get(one.node, one.name)) for one in replies]
    return tuple(sorted(rows, key=lambda one: (not one.name, _natural(one.name), one.node)))


def noted(
    record: RunRecord,
    rows: Sequence[Mapping[str, Any]] | None,
    told: Sequence[ReplyError],
    names: Mapping[str, str],
) -> RunRecord:
    """Return a run's record with what is known of replies now.

    Parameters
    ----------
    record : RunRecord
        As it was.
    rows : sequence of mapping or None
        What the control client answers: see `Replies`; None where nobody counted.
    told : sequence of ReplyError
        What the log tells.
    names : mapping of str to str
        The SuperNodes' names by Flower's ids of them.
    """
    replies = named(None if rows is None else [Replies(**row) for row in rows], names)
    error = record.client_error or first_error(replies, told, names)
    return replace(record, replies=replies, nodes=record.nodes | dict(names), client_error=error)


def called(node: str, names: Mapping[str, str]) -> str:
    """Return how a SuperNode is called: by its name, or by Flower's id where that is unknown."""
    return names.get(node) or f"SuperNode {node}"


def plain(reason: str) -> str:
    """Return what an error reply says in one line, as Python prints an exception.

    Flower writes ``<class 'ValueError'>:<'no data'>`` of a ClientApp that raised (1.22 to 1.42).
    """
    line = reason.strip().partition("\n")[0]
    found = _RAISED.fullmatch(line)
    if found is None:
        return line
    message = found["message"].strip()
    return f"{found['type']}: {message}" if message else found["type"]


def first_error(replies: Sequence[Replies] | None, told: Sequence[ReplyError], names: Mapping[str, str]) -> str:
    """Return the first error that was counted, else the first that the log tells, after its SuperNode's name."""
    lines = [f"{_who(one)}: {plain(one.error)}" for one in replies or () if one.failures]
    lines += [f"{called(error.node, names)}: {plain(error.reason)}" for error in told[:1]]
    return next(iter(lines), "")


def said_first(record: RunRecord) -> list[str]:
    """Return what error replies said, without the SuperNodes' names, the first one first."""
    first = record.client_error.partition(": ")[2]
    return list(dict.fromkeys([first, *(plain(one.error) for one in record.replies or () if one.failures)]))


def errors(replies: Sequence[Replies] | None) -> str:
    """Return what each SuperNode's first error said, a line for each."""
    return "\n".join(dict.fromkeys(f"{_who(one)}: {plain(one.error)}" for one in replies or () if one.failures))


def failing(replies: Sequence[Replies] | None) -> str:
    """Return the names of the SuperNodes that replied with an error; empty if none did."""
    return _listed(one for one in replies or () if one.failures)


def verdict_of(replies: Sequence[Replies]) -> tuple[Verdict, str]:
    """Return what the counts say of a run that finished, and why, as a sentence.

    A kind of message to which no SuperNode gave a result has failed, and the run with it.
    """
    if not replies:
        return Verdict.UNVERIFIED, "The run finished, but its ServerApp sent no message to any SuperNode."
    kinds = dict.fromkeys(one.kind for one in replies)
    for kind in kinds:
        rows = [one for one in replies if one.kind == kind]
        if not any(one.results for one in rows):
            what = f" to a message of type '{kind}'" if len(kinds) > 1 else ""
            return Verdict.FAILED, f"No SuperNode replied{what} with a result: {faults(rows)}."
    told = faults(replies)
    if told:
        return Verdict.DEGRADED, f"{told[0].upper()}{told[1:]}."
    total, nodes = sum(one.results for one in replies), len({one.node for one in replies})
    return (
        Verdict.SUCCEEDED,
        f"{counted(total, 'reply', 'replies')} from {counted(nodes, 'SuperNode')}, none an error.",
    )


def rows(replies: Sequence[Replies]) -> list[list[str]]:
    """Return a table's rows, the header first; of many SuperNodes only those where something is amiss, and the sum."""
    shown = replies
    if len(replies) > ROWS:
        shown = [one for one in replies if one.failures or one.results < one.asked][:ROWS]
    table = [["supernode", "kind", "asked", "results", "failures", "first error"]]
    table += [[_who(one), one.kind, *_numbers([one]), plain(one.error) or "-"] for one in shown]
    return table if shown is replies else [*table, [f"all {len(replies)}", "-", *_numbers(replies), "-"]]


def _numbers(replies: Sequence[Replies]) -> list[str]:
    asked, results, failures = zip(*((one.asked, one.results, one.failures) for one in replies), strict=True)
    return [str(sum(column)) for column in (asked, results, failures)]


def faults(replies: Sequence[Replies]) -> str:
    """Say how many replies were errors or never came, and whose, as a clause; empty if all is well."""
    parts = []
    came = sum(one.results + one.failures for one in replies)
    if bad := sum(one.failures for one in replies):
        were = "was an error" if bad == 1 else "were errors"
        parts.append(f"{bad} of {counted(came, 'reply', 'replies')} {were} ({failing(replies)})")
    if silent := [one for one in replies if one.results + one.failures < one.asked]:
        count = sum(one.asked - one.results - one.failures for one in silent)
        parts.append(f"{counted(count, 'message')} got no reply ({_listed(silent)})")
    return ", and ".join(parts)


def _listed(replies: Iterable[Replies]) -> str:
    names = list(dict.fromkeys(_who(one) for one in replies))
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _who(one: Replies) -> str:
    return one.name or f"SuperNode {one.node}"


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort ``site-10`` after ``site-9``."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]
