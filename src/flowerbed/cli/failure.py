"""How a command ends when it cannot do what it was asked: one clear error, and an exit status that tells."""

from __future__ import annotations

import json
import os
import signal
import sys

from cyclopts import App, CycloptsError

from flowerbed.cli import COMMANDS, ENVIRONMENT_COMMANDS
from flowerbed.errors import FlowerbedError, SpecError, UsageError
from flowerbed.flower.inside.inside_text import plain

USAGE = UsageError.exit_code
INTERRUPTED = 128 + signal.SIGINT


def call(door: App, tokens: list[str]) -> int:
    """Run a command; turn whatever it raises into a message and an exit status."""
    try:
        result = door(tokens, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        _tell(UsageError(str(error).strip(), hint=f"See `{_help_of(tokens)}`."), as_json="--json" in tokens)
        return USAGE
    except FlowerbedError as error:
        _tell(error, as_json="--json" in tokens)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of a pipe went away: `flowerbed logs | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        place = os.fspath(error.filename) if isinstance(error.filename, str | os.PathLike) else None
        _tell(FlowerbedError(error.strerror or str(error), where=place), as_json="--json" in tokens)
        return 1
    return result if isinstance(result, int) else 0


def _tell(error: FlowerbedError, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(error.as_dict()), flush=True)
    else:
        count = len(error.problems) if isinstance(error, SpecError) else 1
        said = plain(str(error))
        print(f"flowerbed: {count} problems\n{said}" if count > 1 else f"flowerbed: {said}", file=sys.stderr)


def _help_of(tokens: list[str]) -> str:
    command = tokens[: 2 if tokens[:1] == ["env"] else 1]
    known = [name for name in command if name in (*COMMANDS, *ENVIRONMENT_COMMANDS, "env")]
    return " ".join(["flowerbed", *known, "--help"])
