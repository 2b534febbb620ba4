"""How a command ends when it cannot do what it was asked: one clear error, and an exit status that tells."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from cyclopts import App, CycloptsError, UnknownCommandError, UnusedCliTokensError

from flowerbed.cli import COMMANDS, GROUPS
from flowerbed.errors import FlowerbedError, SpecError, UsageError
from flowerbed.spec.words import nearest
from flowerbed_inside.text import plain

USAGE = UsageError.exit_code
INTERRUPTED = 128 + signal.SIGINT
READER_LEFT = 128 + signal.SIGPIPE
"""What a command had to say found no reader: `flowerbed logs | head`. Then no other status is known to be true."""
_ENDINGS = (signal.SIGTERM, signal.SIGHUP)


def call(door: App, tokens: list[str]) -> int:
    """Run a command; turn whatever it raises into a message and an exit status."""
    _open_streams()
    try:
        with _ending_cleanly():
            return _call(door, tokens)
    except BrokenPipeError:
        _let_go()
        return READER_LEFT
    except SystemExit as error:
        if error.code == 1 and isinstance(error.__context__, BrokenPipeError):  # as rich ends where it writes help
            _let_go()
            return READER_LEFT
        raise


@contextmanager
def _ending_cleanly() -> Iterator[None]:
    """Have SIGTERM and SIGHUP end a command as Ctrl-C does: what it was building is cleared away first."""

    def end(number: int, _frame: FrameType | None) -> None:
        for each in _ENDINGS:
            signal.signal(each, signal.SIG_IGN)  # once is enough
        sys.exit(128 + number)

    heeded = [number for number in _ENDINGS if signal.getsignal(number) is not signal.SIG_IGN]  # nohup
    before = {number: signal.signal(number, end) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _open_streams() -> None:
    """Write to nowhere where standard output or error was closed."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - until we end


def _let_go() -> None:
    """Write to nowhere where a reader left: what is still to be written is of no use, and no second error."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _call(door: App, tokens: list[str]) -> int:
    try:
        result = door(tokens, exit_on_error=False, print_error=False)
        sys.stdout.flush()  # while a reader that went away, or a full disk, can still be told
    except CycloptsError as error:
        tell(UsageError(_words_of(error), hint=f"See `{_help_of(tokens)}`."), as_json="--json" in tokens)
        return USAGE
    except FlowerbedError as error:
        tell(error, as_json="--json" in tokens)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except OSError as error:
        place = os.fspath(error.filename) if isinstance(error.filename, str | os.PathLike) else None
        tell(FlowerbedError(error.strerror or str(error), where=place), as_json="--json" in tokens)
        return 1
    return result if isinstance(result, int) else 0


def tell(error: FlowerbedError, *, as_json: bool) -> None:
    """Tell of an error, once."""
    if error.told:
        return
    error.told = True
    if as_json:
        print(json.dumps(error.as_dict()), flush=True)
    else:
        count = len(error.problems) if isinstance(error, SpecError) else 1
        said = plain(str(error))
        print(f"flowerbed: {count} problems\n{said}" if count > 1 else f"flowerbed: {said}", file=sys.stderr)


def _words_of(error: CycloptsError) -> str:
    if isinstance(error, UnusedCliTokensError):
        unused = error.unused_tokens or []
        return f"{'an argument' if len(unused) == 1 else 'arguments'} too many: {' '.join(unused)}"
    if isinstance(error, UnknownCommandError) and (typed := (error.unused_tokens or [""])[0]).startswith("-"):
        near = nearest(typed, ("--help", "--version"))
        return f"Unknown option: {typed}. {f'Did you mean {near}?' if near else 'The command comes first.'}"
    return str(error).strip()


def _help_of(tokens: list[str]) -> str:
    known = tokens[:1] if tokens[:1] and tokens[0] in (*COMMANDS, *GROUPS) else []
    if known and known[0] in GROUPS and tokens[1:2] and tokens[1] in GROUPS[known[0]][1]:
        known = tokens[:2]
    return " ".join(["flowerbed", *known, "--help"])
