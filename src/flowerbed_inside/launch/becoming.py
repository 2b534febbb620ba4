"""A forked process becomes one that might as well have been started.

It differs from a started one in what all processes of one fork server share: the seed of hashes and the places in
memory. Everything else that a program can see is as it is after ``subprocess.Popen``: signals, environment, folder,
descriptors, randomness, its name, ``/proc/PID/cmdline`` and ``/proc/PID/environ``. A token is left out of the command
line, because everybody may read that.

A process ends as an interpreter ends: threads, exit functions, open files. Modules that were there before the fork stay
as they are, since to take them apart would copy all their memory; and exit functions of C code are not called.

It runs in Flower's environment: standard library only.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import io
import os
import random
import shutil
import signal
import sys
import threading
import time
import traceback
import types
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PRIVATE: dict[str, str] = {}
"""Nothing of Flower's is used."""

MARKS = ("FLOWERBED_FEDERATION", "FLOWERBED_COMPONENT")
"""Variables by which a federation's processes are found; they come first in ``/proc/PID/environ``."""
SECRET_OPTIONS = ("--token",)
"""What follows these on a command line is not shown."""

_PR_SET_DUMPABLE = 4
_PR_SET_NAME = 15
_LIBC: Any = ctypes.CDLL(None, use_errno=True)
_PLACES = slice(45, 49)
"""Where ``/proc/self/stat`` has the places of command line and environment, counted after the name."""


@dataclass(frozen=True)
class Signals:
    """How a process takes signals."""

    handlers: Mapping[int, Any]
    blocked: frozenset[int]

    @classmethod
    def now(cls) -> Signals:
        """Return how this process takes them; handlers of C code are left to it."""
        numbers = (int(number) for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})
        handlers = {number: handler for number in numbers if (handler := signal.getsignal(number)) is not None}
        blocked = frozenset(int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ()))
        return cls(handlers, blocked)

    def restore(self) -> None:
        """Take signals in this way again."""
        signal.set_wakeup_fd(-1)
        for number, handler in self.handlers.items():
            if signal.getsignal(number) != handler:
                signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, self.blocked)


@dataclass(frozen=True)
class Start:
    """What a process is started with.

    Parameters
    ----------
    argv : list of str
        The program's name and its arguments.
    environment : dict of str to str
        Its environment.
    folder : str
        Where it works.
    """

    argv: list[str]
    environment: dict[str, str]
    folder: str


def become(
    start: Start, streams: Iterable[int], signals: Signals, added: Mapping[str, str | None], kept: int = -1
) -> None:
    """Become a program; it can be called after that.

    Parameters
    ----------
    start : Start
        What it is started with.
    streams : iterable of int
        Descriptors of its standard streams.
    signals : Signals
        How it takes signals.
    added : mapping of str to str or None
        What libraries have changed in the environment as they were imported; None for what they have removed.
    kept : int
        The one descriptor that is left open but the standard streams, if any.
    """
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
    for descriptor in descriptors():
        if descriptor > 2 and descriptor != kept:
            with suppress(OSError):
                os.close(descriptor)
    signals.restore()
    os.environ.clear()
    os.environ.update(start.environment)
    for name, value in added.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    time.tzset()
    os.chdir(start.folder)
    renew_randomness()
    path = _script(start.argv[0])
    sys.argv = [path, *start.argv[1:]]
    sys.orig_argv = [sys.executable, *sys.argv]
    main = types.ModuleType("__main__")
    main.__file__ = path
    sys.modules["__main__"] = main
    if "__mp_main__" in sys.modules:  # what multiprocessing calls it
        sys.modules["__mp_main__"] = main
    call(start.argv[0])
    show([sys.executable, path, *without_secrets(start.argv[1:])])
    show_environment(os.environ)
    _LIBC.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)


def _script(name: str) -> str:
    """Return the script of a program: beside the one of this process, or what lies on PATH."""
    ours = Path(getattr(sys.modules["__main__"], "__file__", None) or "")
    beside = ours.with_name(f"{name}{ours.suffix}") if ours.name else ours
    return str(beside) if beside.is_file() else shutil.which(name) or name


def descriptors() -> list[int]:
    """Return the descriptors that this process has open, and one that it had for this look."""
    return [int(name) for name in os.listdir("/proc/self/fd")]  # noqa: PTH208 - names only


def renew_randomness() -> None:
    """Give this process randomness of its own; what starts with a fixed seed, as PyTorch does, keeps that."""
    random.seed()
    if (numpy_random := sys.modules.get("numpy.random")) is not None:
        numpy_random.seed()
    if (process := sys.modules.get("multiprocessing.process")) is not None:
        process.current_process().authkey = os.urandom(32)


def protect() -> None:
    """Let no other process of this user trace this one, or read its memory."""
    _LIBC.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def call(name: str) -> None:
    """Give this process a name, of which the kernel keeps 15 bytes."""
    _LIBC.prctl(_PR_SET_NAME, os.fsencode(name)[:15], 0, 0, 0)


def without_secrets(arguments: list[str]) -> list[str]:
    """Return arguments as everybody may see them."""
    shown, hide = [], False
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        shown.append("…" if hide else f"{name}=…" if equals and name in SECRET_OPTIONS else argument)
        hide = argument in SECRET_OPTIONS
    return shown


def show(argv: list[str]) -> None:
    """Have ``/proc/PID/cmdline`` show a command line, as far as there is room where the first one was.

    A program's name is always shown, without its folder if need be: processes of apps are found by it.
    """
    begin, end, *_ = _places()
    if sum(len(os.fsencode(word)) + 1 for word in argv[:2]) > end - begin:
        argv = [*(Path(word).name for word in argv[:2]), *argv[2:]]
    _overwrite(begin, end, argv)


def show_environment(environment: Mapping[str, str]) -> None:
    """Have ``/proc/PID/environ`` show an environment; `os.environ` must have been cleared since the process began."""
    ordered = [name for name in MARKS if name in environment] + [name for name in environment if name not in MARKS]
    *_, begin, end = _places()
    _overwrite(begin, end, [f"{name}={environment[name]}" for name in ordered])


def _places() -> list[int]:
    """Return begin and end of the command line, and of the environment, in memory."""
    with open("/proc/self/stat", "rb") as stat:  # noqa: PTH123 - the fewer imports the better
        text = stat.read()
    return [int(field) for field in text[text.rindex(b")") + 2 :].split()[_PLACES]]


def _overwrite(begin: int, end: int, words: list[str]) -> None:
    room = end - begin
    if begin <= 0 or room <= 0:
        return
    text = b""
    for word in words:
        one = os.fsencode(word) + b"\0"
        if len(text) + len(one) > room:
            break
        text += one
    ctypes.memmove(begin, text.ljust(room, b"\0"), room)


def run(program: Callable[[], object], before: frozenset[str], last: Callable[[], None]) -> None:
    """Run a program and end as an interpreter ends; does not return.

    Parameters
    ----------
    program : callable
        What to run.
    before : frozenset of str
        The modules that were there before the fork.
    last : callable
        What is done when the program has ended, before modules are taken away.
    """
    status = 1
    try:
        status = _status(program)
        with suppress(BaseException):
            last()
        _end(before)
    finally:
        _LIBC.fflush(None)
        os._exit(status)  # exit functions of C code could wait for threads that wait for Python


def _status(program: Callable[[], object]) -> int:
    """Return the exit status of a program as Python gives it; what an interrupt ends is killed by that."""
    try:
        code = program()
    except SystemExit as end:
        code = end.code
    except KeyboardInterrupt:
        traceback.print_exc()
        _end(frozenset(sys.modules))
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
        return 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    print(code, file=sys.stderr)
    return 1


def _end(before: frozenset[str]) -> None:
    shut_down: Any = getattr(threading, "_shutdown", None)
    for step in (shut_down, atexit._run_exitfuncs):
        with suppress(BaseException):
            if step is not None:
                step()
    for name in [name for name in sys.modules if name not in before]:
        sys.modules.pop(name, None)
    gc.collect()  # what was there before the fork is frozen, and not looked at
    for found in gc.get_objects():
        if isinstance(found, io.TextIOWrapper | io.BufferedWriter | io.BufferedRandom):
            with suppress(BaseException):
                found.flush()
    for stream in (sys.stdout, sys.stderr):
        with suppress(BaseException):
            stream.flush()
