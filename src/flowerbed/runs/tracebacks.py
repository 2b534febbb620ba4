"""Find the traceback that explains a failure in what a program printed."""

from __future__ import annotations

import re
from collections.abc import Iterable

from flowerbed.runs.text import last_lines, split_level
from flowerbed_inside.text import plain

__all__ = ["LIMIT", "cause", "last_killed", "last_lines", "last_traceback", "serverapp_ending", "summary_of"]

LIMIT = 12_000
"""Characters kept of a traceback: a recursion error prints a thousand frames."""

_START = re.compile(r"(?:  \+ Exception Group )?Traceback \(most recent call last\):")
_KILLED = re.compile(r"\[flowerbed: (the (?:Client|Server)App was killed .*)\]")
_SERVERAPP_ENDED = re.compile(r"\[flowerbed: the ServerApp (was killed .*|ended with status 0)\]")
_CHAIN = (
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
)
_RAISED = re.compile(r"(?P<type>[A-Za-z_][\w.]*)(?:: (?P<message>.*))?$")
# How a program ends that was told to, which explains nothing where there is any other traceback.
_ENDINGS = ("KeyboardInterrupt", "SystemExit", "GeneratorExit", "CancelledError")
_MESSAGE_LINES = 20  # of an exception whose message has several lines


def last_traceback(text: str, *, limit: int = LIMIT) -> str | None:
    """Return the last traceback in a log that explains something, with the exceptions that it came from.

    Parameters
    ----------
    text : str
        A program's output, colours and Flower's log prefixes or not.
    limit : int
        Characters to keep; what is left out of the middle is said.

    Returns
    -------
    str or None
        None where the text has no traceback. One of a program that was told to end (``KeyboardInterrupt``) is
        returned only if there is no other.
    """
    found = _tracebacks(text)
    return _cap(found[-1], limit) if found else None


def cause(logs: Iterable[tuple[str, str]], errors: Iterable[str], *, limit: int = LIMIT) -> str:
    """Return what explains that ClientApps replied with errors; empty if no log explains it.

    What fails first often makes other things fail: an app without data raises in train, and then divides by zero in
    evaluate. So the traceback of the earliest error is shown, wherever it stands.

    Parameters
    ----------
    logs : iterable of (str, str)
        The names of ClientApps, and what they printed since the run began.
    errors : iterable of str
        What error replies said, each in one line as Python prints an exception; the first reply first.
    limit : int
        Characters of a traceback to keep.

    Returns
    -------
    str
        The traceback that ends with the first of these errors that any log has; else what the first log tells that
        tells anything: that the ClientApp was killed, or its first traceback.
    """
    told = [(name, text, _tracebacks(text)) for name, text in logs]
    for error in errors:
        for _, _, tracebacks in told:
            for one in tracebacks:
                if error and summary_of(one).strip() == error:
                    return _cap(one, limit)
    for name, text, tracebacks in told:
        if killed := last_killed(text):
            return f"{name}: {killed}"
        if tracebacks:
            return _cap(tracebacks[0], limit)
    return ""


def _tracebacks(text: str) -> list[str]:
    """Return a log's tracebacks; those of a program that was told to end only if there are no others."""
    # Lines are parted as a terminal would, not as str.splitlines does: a message may hold a form feed.
    lines = plain(text).split("\n")
    found: list[str] = []
    at = 0
    while at < len(lines):
        if _START.fullmatch(split_level(lines[at])[1]):
            end = _end_of_chain(lines, at)
            first = split_level(lines[at])[1]
            found.append("\n".join([first, *lines[at + 1 : end]]).rstrip())
            at = end
        else:
            at += 1
    return [one for one in found if not summary_of(one).startswith(_ENDINGS)] or found


def last_killed(text: str) -> str:
    """Return what a log says of an app's process that was killed, if that is later than any traceback; else nothing."""
    lines = plain(text).split("\n")
    for line in reversed(lines):
        if found := _KILLED.fullmatch(line):
            return found[1]
        if _START.fullmatch(split_level(line)[1]):
            return ""
    return ""


def serverapp_ending(text: str) -> str:
    """Return how the last ServerApp's process ended, as its unit's log says it, as a clause; empty if it does not."""
    found = [ending for line in plain(text).split("\n") if (ending := _SERVERAPP_ENDED.fullmatch(line))]
    return f"its process {found[-1][1]}" if found else ""


def summary_of(traceback: str) -> str:
    """Return a traceback's last word, the exception's type and the first line of its message; empty if unclear."""
    lines = traceback.split("\n")
    last = max((at for at, line in enumerate(lines) if _START.fullmatch(line)), default=0)
    for line in lines[last + 1 :]:
        if line and not line.startswith(" "):  # after the frames
            return line
    # An exception group: its own line is drawn with bars.
    for line in lines:
        if line.startswith("  | ") and _RAISED.match(line[4:]):
            return line[4:]
    return ""


def _end_of_chain(lines: list[str], start: int) -> int:
    """Return the index after the traceback that starts at `start` and those that follow from it."""
    end = _end_of_one(lines, start)
    following = end
    while following < len(lines) and not lines[following].strip():
        following += 1
    if following < len(lines) and lines[following] in _CHAIN:
        following += 1
        while following < len(lines) and not lines[following].strip():
            following += 1
        if following < len(lines) and _START.fullmatch(lines[following]):
            return _end_of_chain(lines, following)
    return end


def _end_of_one(lines: list[str], start: int) -> int:
    at = start + 1
    while at < len(lines) and lines[at].startswith(" "):  # frames, or an exception group's drawing
        at += 1
    if lines[start].endswith("+ Exception Group Traceback (most recent call last):"):
        return at
    # The exception, and as much of its message as cannot be told from it.
    last = min(len(lines), at + _MESSAGE_LINES)
    while at < last and lines[at].strip() and split_level(lines[at])[0] is None and not _START.fullmatch(lines[at]):
        at += 1
    return at


def _cap(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    # The end says what was raised and where; the beginning where it came from.
    head, tail = text[: limit // 4], text[-(limit - limit // 4) :]
    head = head[: head.rfind("\n") + 1] or head
    tail = tail[tail.find("\n") + 1 :]
    left_out = len(text) - len(head) - len(tail)
    return f"{head.rstrip()}\n  … {left_out} characters left out …\n{tail}"
