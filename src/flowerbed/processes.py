"""Starting, finding and ending processes, so that none is ever left behind.

Linux is the platform that is promised: there a child asks the kernel to be killed with its parent
(``PR_SET_PDEATHSIG``), the supervisor adopts orphaned grandchildren (``PR_SET_CHILD_SUBREAPER``), and
``/proc`` tells the whole tree. Elsewhere ``ps`` tells the tree and the other two are missing.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from flowerbed_inside.proc import children_by_parent as children_by_parent
from flowerbed_inside.proc import descendants as descendants
from flowerbed_inside.proc import process_table

LINUX = sys.platform == "linux"
MARK = "FLOWERBED_FEDERATION"
"""Environment variable that marks every process of a federation with the path of its state folder."""

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LIBC = ctypes.CDLL(None, use_errno=True) if LINUX else None


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent dies, instead of process 1."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent(sent: signal.Signals, parent: int) -> None:
    """Ask the kernel to send a signal to this process when the thread that started it ends.

    Parameters
    ----------
    sent : signal.Signals
        The signal.
    parent : int
        The process that should be the parent; if it is gone already, this process ends at once.
    """
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(sent), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)


def spawn(argv: list[str], *, env: dict[str, str], cwd: Path, log: Path, nice: int = 0) -> int:
    """Start a program in a session of its own, its output appended to a log; return its process id.

    It is killed when this process dies. It sees no terminal, so a Ctrl-C meant for us does not reach it. With `nice`
    above 0 it and its children give way to others when processors are short, if `session_gives_way` says that too.
    """
    parent = os.getpid()
    with opened(log) as output:
        child = subprocess.Popen(
            argv,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=death_sentence(parent, nice),
        )
    child.returncode = 0  # reaped by whoever waits for the whole tree; Popen must not try it a second time
    return child.pid


def opened(log: Path) -> BinaryIO:
    """Open a log to append to it; where that is not possible, what is said goes nowhere, as the program counts more."""
    try:
        return log.open("ab")
    except OSError:
        return Path(os.devnull).open("ab")


def death_sentence(parent: int, nice: int = 0) -> Callable[[], None]:
    """Return what a child does between fork and exec to be killed with its parent."""

    def prepare() -> None:
        die_with_parent(signal.SIGKILL, parent)
        os.nice(nice)

    return prepare


def session_gives_way(pid: int, nice: int) -> bool:
    """Have a process's whole session give way to others, where the kernel shares processors among sessions.

    There (``kernel.sched_autogroup_enabled``, the default of Debian and Ubuntu) a process's own nice value counts only
    within its session. Without privilege the kernel takes one such request in 0.1 s from all users together.

    Parameters
    ----------
    pid : int
        A process of the session.
    nice : int
        How nice the session is to be.

    Returns
    -------
    bool
        False if it is to be tried again a little later.
    """
    try:
        Path(f"/proc/{pid}/autogroup").write_text(str(nice))
    except BlockingIOError:  # EAGAIN
        return False
    except OSError:  # the process is gone, or this kernel knows no such groups
        pass
    return True


def adopted() -> list[int]:
    """Return this process's direct children, among them the orphans that it adopted."""
    return children_by_parent().get(os.getpid(), [])


def command_line(pid: int) -> str:
    """Return a process's command line, or an empty text if it is gone."""
    if not LINUX:
        asked = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
        return asked.stdout.strip()
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def environment_of(pid: int) -> dict[str, str]:
    """Return the environment with which a process was started; empty if it is gone or not ours to read."""
    try:
        block = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return {}
    pairs = (item.decode(errors="replace").partition("=") for item in block.split(b"\0") if item)
    return {name: value for name, _, value in pairs}


def marked(state_folder: Path) -> list[int]:
    """Return the living processes that carry a federation's mark (Linux only)."""
    if not LINUX:
        return []
    mine = {os.getpid(), os.getppid()}
    return [pid for pid, _ in process_table() if pid not in mine and environment_of(pid).get(MARK) == str(state_folder)]


def all_marked() -> dict[str, list[int]]:
    """Return the living processes of all federations of this user, by the path of the state folder (Linux only)."""
    found: dict[str, list[int]] = defaultdict(list)
    for pid, _ in process_table() if LINUX else ():
        if folder := environment_of(pid).get(MARK):
            found[folder].append(pid)
    return dict(found)


def alive(pid: int) -> bool:
    """Tell whether a process exists and is no zombie."""
    if LINUX:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return False
        return stat[stat.rindex(")") + 2] != "Z"
    try:
        os.kill(pid, 0)
    except OSError as error:
        return error.errno == errno.EPERM
    return True


def send(pids: Iterable[int], sent: signal.Signals) -> None:
    """Send a signal to each process that is still there."""
    for pid in pids:
        try:
            os.kill(pid, sent)
        except ProcessLookupError:
            continue


def kill_all(find: Callable[[], list[int]], *, timeout: float = 5.0) -> list[int]:
    """Kill what `find` returns again and again until it returns nothing; return what withstood.

    A process can fork while it is being killed, so one pass is not enough.
    """
    deadline = time.monotonic() + timeout
    while (found := find()) and time.monotonic() < deadline:
        send(found, signal.SIGKILL)
        _reap()
        time.sleep(0.02)
    return found


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
