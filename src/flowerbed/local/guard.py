"""The guard: a tiny process above the supervisor that lets nothing outlive it.

It adopts every orphan below it, waits for the supervisor, and when that ends, however it ends, kills what is
left of the federation: Flower's programs and their own children (``flwr-clientapp``), in whatever session
they hide. It imports next to nothing, so that there is little to go wrong and little memory to hold.

Where the command in the foreground is killed that it is tied to, it tells the supervisor so with a SIGHUP.
Should the guard itself be killed, the kernel tells the supervisor with a SIGTERM, and that takes all down.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

from flowerbed import processes


def main(argv: list[str]) -> int:
    """Run the supervisor given as ``argv`` below a guard; return its exit status."""
    tied, *command = argv
    parent = os.getppid()
    if tied == "--tied":  # a foreground `up`: gone with the command that started it
        processes.die_with_parent(signal.SIGTERM, parent)
    processes.adopt_orphans()
    me = os.getpid()
    supervisor = os.fork()
    if supervisor == 0:
        processes.die_with_parent(signal.SIGTERM, me)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # `nohup` has it ignored, and that is inherited
        os.environ[processes.MARK] = command[-1]  # whoever ends what is marked leaves the guard to its work
        os.execv(command[0], command)  # noqa: S606

    def pass_on(number: int, _: FrameType | None) -> None:
        orphaned = tied == "--tied" and os.getppid() != parent
        processes.send([supervisor], signal.SIGHUP if orphaned else signal.Signals(number))

    signal.signal(signal.SIGTERM, pass_on)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command in the foreground decides, and sends SIGTERM
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    status = _wait_for(supervisor)
    left = processes.kill_all(lambda: processes.descendants(me))
    if left:
        print(f"flowerbed guard: these processes could not be killed: {left}", file=sys.stderr)
    return status


def _wait_for(supervisor: int) -> int:
    while True:
        try:
            pid, status = os.wait()
        except ChildProcessError:
            return 1
        if pid == supervisor:
            return os.waitstatus_to_exitcode(status) & 0xFF


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
