"""Starts programs inside a cluster's namespaces, and ends them."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from cluster.packages import SEARCH_PATH

MARK = "FLOWERBED_TEST_CLUSTER"
"""The environment variable that all processes of a cluster carry, with the cluster's identity."""

_AGAIN = 'while :; do "$@"; echo "it ended with $?, and is started again" >&2; done'


class ClusterFailed(Exception):
    """The test cluster could not be started, or a part of it ended."""


@dataclass(frozen=True)
class Place:
    """A set of namespaces: those of the whole cluster, or of one of its nodes.

    Parameters
    ----------
    identity : str
        Which cluster.
    process : int
        A process that lives there, by its number on the host.
    temporary : Path
        Where programs in this place put their temporary files.
    """

    identity: str
    process: int
    temporary: Path

    def command(self, *arguments: str) -> list[str]:
        """Return the command that runs a program in this place."""
        target = ["--target", str(self.process)]
        return ["nsenter", *target, "--pid", "--mount", "--net", "--uts", "--", *arguments]

    def environment(self) -> dict[str, str]:
        """Return what a program in this place gets as its environment: nothing of the machine's settings."""
        return {
            "PATH": SEARCH_PATH,
            "HOME": str(self.temporary),
            "TMPDIR": str(self.temporary),
            "LANG": "C.UTF-8",
            MARK: self.identity,
        }

    def run(self, *arguments: str, content: str | None = None) -> str:
        """Run a program to its end and return its output."""
        done = subprocess.run(
            self.command(*arguments), input=content, env=self.environment(), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise ClusterFailed(f"{' '.join(arguments)}: {done.stderr.strip() or f'exit status {done.returncode}'}")
        return done.stdout

    def ip(self, *arguments: str) -> None:
        """Run ``ip`` in this place's network, with process ids as the host counts them."""
        subprocess.run(["nsenter", "--target", str(self.process), "--net", "--", "ip", *arguments], check=True)


class Program:
    """A program that runs in the background of a cluster, with a log.

    Parameters
    ----------
    name : str
        What it is called in messages.
    place : Place
        Where it runs.
    arguments : list of str
        The command.
    log : Path
        Where its output goes.
    environment : dict of str
        More environment variables.
    again : bool
        Whether it is started again whenever it ends, as systemd does with a kubelet: one that starts while containers
        come and go may give up, and counts on that.
    """

    def __init__(
        self,
        name: str,
        place: Place,
        arguments: list[str],
        log: Path,
        environment: dict[str, str] | None = None,
        *,
        again: bool = False,
    ) -> None:
        self.name = name
        self.log = log
        self._again = again
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                place.command(*(["sh", "-c", _AGAIN, "again"] if again else []), *arguments),
                env=place.environment() | (environment or {}),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,  # Ctrl-C is for the harness
            )

    def check(self) -> None:
        """Raise if the program has ended.

        Raises
        ------
        ClusterFailed
            With the end of its log.
        """
        if (status := self._process.poll()) is not None:
            last = "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
            raise ClusterFailed(f"{self.name} ended with status {status}; its last lines ({self.log}):\n{last}")

    def pid(self, other_than: int | None = None) -> int:
        """Return the program's process id on the host, as soon as it has one (other than that)."""
        until = time.monotonic() + 10
        while time.monotonic() < until:
            self.check()
            found = _child(self._process.pid)  # nsenter, our own, waits for it
            if found and self._again:
                found = _child(found)
            if found not in (None, other_than):
                return found
            time.sleep(0.005)
        raise ClusterFailed(f"{self.name} does not start")

    def restart(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End a program that is started `again` with a signal, and with SIGKILL if it does not obey in ten seconds."""
        process = self.pid()
        ended = os.pidfd_open(process)
        try:
            os.kill(process, number)
            if not select.select([ended], [], [], 10)[0]:
                os.kill(process, signal.SIGKILL)
                select.select([ended], [], [])
        finally:
            os.close(ended)
        self.pid(other_than=process)

    def forget(self) -> None:
        """Wait for the end of a program whose namespaces are gone."""
        self._process.wait()


def _child(process: int) -> int | None:
    """Return the one child of a process that has never more than one."""
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except FileNotFoundError:
        return None
    return int(children[0]) if children else None
