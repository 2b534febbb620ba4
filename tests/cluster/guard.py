"""The one process outside of a cluster: it makes the cluster's namespaces, and cleans up when the harness ends.

Started by the harness as ``python -m cluster.guard FOLDER PAUSE HARNESS-PID``, in a session of its own, so that neither
Ctrl-C nor the death of the harness reaches it, and with the lock on the folder as an open file. It prints the process
id of the cluster's first process, then waits until the harness ends, however that happens, or SIGTERM.

The first process is the root of a PID namespace: when it dies, the kernel kills all others in there, containers too,
and with the last process go the mounts and the networks. It dies with the guard.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

from cluster.leftovers import clean, kill_marked
from cluster.packages import SEARCH_PATH


def main() -> int:
    """Guard one cluster; return the exit status."""
    folder, pause, harness_process = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    os.environ["PATH"] = SEARCH_PATH
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.set_wakeup_fd(tell)
    with contextlib.suppress(ProcessLookupError):  # the harness is gone already
        harness = os.pidfd_open(harness_process)
        if os.getppid() == harness_process:  # else that number is someone else's by now
            _guard(pause, folder.name, until=[harness, told])
    clean(folder)
    return 0


def _guard(pause: str, identity: str, until: list[int]) -> None:
    first = _first_process(pause)
    inner = _child(first)
    print(inner, flush=True)
    select.select([*until, os.pidfd_open(first.pid)], [], [])
    with contextlib.suppress(ProcessLookupError):
        os.kill(inner, signal.SIGKILL)
    # A program inside that was entered from outside is reaped by its parent there, which may be stopped.
    kill_marked(identity, spare={os.getpid(), first.pid})
    first.wait()  # the kernel reports that end when the last process of the namespace is gone


def _first_process(pause: str) -> subprocess.Popen[bytes]:
    namespaces = ["unshare", "--pid", "--fork", "--kill-child=KILL", "--mount", "--mount-proc", "--net"]
    # A process outside the namespace waits for the first one inside; it takes it along, and dies with the guard.
    command = ["setpriv", "--pdeathsig", "KILL", *namespaces, pause]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)  # it mutters when killed


def _child(process: subprocess.Popen[bytes]) -> int:
    """Wait for the only child of a process."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while not (found := children.read_text().split()):
        if process.poll() is not None:
            said = process.stderr.read().decode().strip() if process.stderr else ""
            raise RuntimeError(f"unshare ended with {process.returncode}: {said}")
        time.sleep(0.005)
    return int(found[0])


if __name__ == "__main__":
    sys.exit(main())
