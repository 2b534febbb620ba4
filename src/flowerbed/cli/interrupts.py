"""Ctrl-C: once asks for a clean end, twice means now."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interruptible() -> Iterator[None]:
    """Have Ctrl-C and SIGTERM raise KeyboardInterrupt at once, for waits that do not ask how many came."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def until_interrupted() -> Iterator[Callable[[], int]]:
    """Count Ctrl-C and SIGTERM instead of dying of them; the value tells how many came."""
    count = 0

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        nonlocal count
        count += 1

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup; else a terminal that is gone ends us at once
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        yield lambda: count
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
