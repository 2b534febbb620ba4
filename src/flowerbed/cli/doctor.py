"""`flowerbed doctor`."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from flowerbed.cli.options import Json, Where
from flowerbed.cli.output import Output
from flowerbed.local.doctor import check_federation, check_others
from flowerbed.local.doctor_machine import Check, State, check_machine, look

SIGNS = {State.OK: "ok", State.WARNING: "warning", State.WRONG: "WRONG"}
WIDEST = 120
"""Columns; lines that are longer are hard to read."""


def doctor(*, file: Where = Path(), json: Json = False) -> int:
    """Say what is wrong, and the next command to type. The exit status is 1 if anything is wrong.

    It makes the checks that `up` and `run` make before they build or start anything, and says what this machine has.
    Nothing is written but temporary files.
    """
    out = Output(as_json=json)
    with out.working("looking"):
        checks = [*check_machine(look()), check_others(file), *check_federation(file)]
    for check in checks:
        out.data("check", check)
    for line in laid_out(checks, min(shutil.get_terminal_size().columns, WIDEST) if out.live else None):
        out.say(line)
    return 1 if any(check.state is State.WRONG for check in checks) else 0


def laid_out(checks: Sequence[Check], width: int | None) -> Iterator[str]:
    """Yield the lines that show checks: in columns, wrapped to a width if there is one."""
    longest = max(len(check.id) for check in checks)
    indent = " " * (len(SIGNS[State.WARNING]) + longest + 4)
    for check in checks:
        head = f"{SIGNS[check.state]:{len(SIGNS[State.WARNING])}}  {check.id:{longest}}  "
        texts = check.message.splitlines()
        if check.next and check.state is not State.OK:
            first, *more = check.next.splitlines()
            texts += [f"next: {first}", *more]
        for text in texts:
            for line in _wrapped(text, width, len(indent)):
                yield f"{head}{line}"
                head = indent


def _wrapped(text: str, width: int | None, indent: int) -> list[str]:
    """Return a text in lines beside an indent; paths and commands are not broken."""
    if width is None:
        return [text]
    return textwrap.wrap(text, max(width - indent, 30), break_long_words=False, break_on_hyphens=False) or [""]
