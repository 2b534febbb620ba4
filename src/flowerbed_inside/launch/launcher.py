"""Runs one of Flower's programs once everything that it dials is there.

Stock SuperNodes and SuperExecs that start before what they dial back off for up to 44 s (measured on 1.22). The
launcher lies on PATH under the program's own name (see `script`). It imports the program, which is the slow part of
its start, waits until each address in ``FLOWERBED_WAIT_FOR`` accepts connections and the file that
``FLOWERBED_WAIT_FOR_FILE`` names exists, and only then lets it begin. The program is the release's own
entry point, in this same process, with its own arguments.

A SuperExec is imported only when the waiting is over, or has taken long: before that it would be in the way, on the
same few cores, of those for whom it waits. There is one for each SuperNode, and nothing needs it before.

``FLOWERBED_SETTLE_SECONDS`` has the program begin no sooner than so long after the start, unless an address had to be
waited for: see `node_keys`.

The file says that the SuperLink has answered a first request. Up to 1.27 it makes its database at that request, and
several first requests at once make it fail on 1.26 and 1.27 (``table alembic_version already exists``: 4 of 4 trials
with five clients; none with one request before them).

A SuperNode also removes the folders in which its ClientApps worked (see the launcher of apps): that of a run once the
SuperLink says that the run has ended, and when it starts all that are left. One of a release that does not say which id
it has says it.

What else is done for a SuperLink is in `superlink`.

It runs in Flower's environment: standard library and flwr only.
"""

import errno
import fcntl
import functools
import importlib
import math
import os
import select
import shutil
import socket
import sys
import time
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from flowerbed_inside.levers.taking import take_levers
from flowerbed_inside.variables import SCRATCH_ROOT, SETTLE, WAIT_FOR, WAIT_FOR_FILE

PRIVATE = {
    "flwr.supernode.start_client_internal:_pull_and_store_message": ">=1.22",
    "flwr.supernode.start_client_internal:RunNotRunningException": ">=1.22",
    "flwr.supernode.nodestate.in_memory_nodestate:InMemoryNodeState.set_node_id": ">=1.22,<1.24",
}
"""What is used of Flower that it does not promise to keep, as ``module:attribute``, and in which releases.

Without it the folders of ClientApps stay until the SuperNode starts again or its federation is taken down."""

FIRST_SECONDS = 1.0
"""Who has answered a first knock by then, from however far away, did not have to be waited for."""
SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
PART_OF_THE_WAIT = 0.05
"""The pause between two knocks, as a part of what was waited until then: a thousand SuperNodes may wait for long."""
IMPORT_SECONDS = 10.0
"""A SuperExec that has waited so long is in nobody's way any more: what it waits for is not slow, but not there."""
KNOCK_SECONDS = 3.0
"""How long a knock is left to be answered while others follow it."""
IDLE_SECONDS, LONGEST_IDLE_SECONDS = 5.0, 60.0
"""How long after the last message of a run the SuperLink is asked whether the run goes on, and how often at the least.

Each time that it does, the SuperNode waits twice as long for the next."""


class Door:
    """An address at which somebody is awaited, and at which one knocks again while earlier knocks go unanswered.

    In a cluster a knock is often lost: a node answers for a Service that nobody is behind, but only six times and then
    once a second (``net.ipv4.icmp_ratelimit``), and one for a Service that a node does not know yet vanishes for good.
    Whoever waits for the answer to one knock learns seconds late that somebody is there now.

    Parameters
    ----------
    address : str
        ``host:port``.
    """

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        self.knocks: dict[socket.socket, float] = {}

    def answers(self, seconds: float) -> bool:
        """Knock, and tell whether somebody answers that or an earlier knock; False at once if all are turned away."""
        now = time.monotonic()
        for old in [knock for knock, since in self.knocks.items() if now - since >= KNOCK_SECONDS]:
            self._give_up(old)
        self._knock()
        while self.knocks and (left := now + seconds - time.monotonic()) > 0:
            for knock in select.select([], list(self.knocks), [], left)[1]:
                if knock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                    for each in list(self.knocks):
                        self._give_up(each)
                    return True
                self._give_up(knock)
        return False

    def _knock(self) -> None:
        """Begin to connect to each address of the host; a name that nobody knows yet has none."""
        try:
            found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except OSError:
            return
        for family, kind, protocol, _, where in found:
            try:
                knock = socket.socket(family, kind, protocol)
            except OSError:  # a machine without IPv6
                continue
            knock.setblocking(False)
            if knock.connect_ex(where) in (0, errno.EINPROGRESS):
                self.knocks[knock] = time.monotonic()
            else:
                knock.close()

    def _give_up(self, knock: socket.socket) -> None:
        del self.knocks[knock]
        knock.close()


class Waiting:
    """The wait until every address has accepted a connection, and a file, if any, exists.

    Parameters
    ----------
    addresses : list of str
        The addresses, each ``host:port``.
    file : str
        The file's path; empty for none.
    """

    def __init__(self, addresses: list[str], file: str) -> None:
        self._began = time.monotonic()
        self._left: list[tuple[str, Callable[[float], bool]]] = [
            (address, Door(address).answers) for address in addresses if address
        ]
        if file:
            self._left.append(("the SuperLink", lambda _: Path(file).exists()))
        self.took_time = False

    def go_on(self, seconds: float = math.inf) -> None:
        """Wait until all is there, or at most so long since it began."""
        pause = FIRST_SECONDS
        while self._left:
            now = time.monotonic()
            what, is_there = self._left[0]
            if is_there(pause):
                self._left.pop(0)
                continue
            if not self.took_time:
                print(f"[flowerbed: waiting until {what} answers]", flush=True)
                self.took_time = True
            waited = now - self._began
            if waited >= seconds:
                return
            pause = min(max(SHORTEST_PAUSE, waited * PART_OF_THE_WAIT), LONGEST_PAUSE)
            time.sleep(max(0.0, now + pause - time.monotonic()))


class Scratch:
    """The folders in which the ClientApps of this SuperNode work, one for each run.

    Parameters
    ----------
    root : Path
        Where they lie; each has its run's id for a name.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._next: dict[int, tuple[float, float]] = {}  # of each run: when to ask, and how long the last pause was

    def clear(self) -> None:
        """Remove what an earlier SuperNode left."""
        try:
            left = list(self._root.iterdir())
        except OSError:
            return
        for folder in left:
            remove_unheld(folder)

    def watched(self, pull: Callable[..., Any], ended: type[Exception]) -> Callable[..., Any]:
        """Wrap Flower's function that asks for a message and returns its run, so that ended runs are noticed.

        It is given the function by which it asks for a run, which raises `ended` for one that does not go on.
        """

        @functools.wraps(pull)
        def pull_and_look(*args: Any, **kwargs: Any) -> Any:
            if "get_run" in kwargs:
                self._look(kwargs["get_run"], ended)
            run = pull(*args, **kwargs)
            if run is not None:
                self._next[run] = (math.inf, 0.0)
            else:
                soon = time.monotonic() + IDLE_SECONDS
                self._next = {one: (soon, IDLE_SECONDS) if not last[1] else last for one, last in self._next.items()}
            return run

        return pull_and_look

    def _look(self, get_run: Callable[[int], object], ended: type[Exception]) -> None:
        for run, (when, pause) in list(self._next.items()):
            if time.monotonic() < when:
                continue
            folder = self._root / str(run)
            if not folder.exists():
                del self._next[run]
                continue
            try:
                get_run(run)
            except ended:
                # One that is there now still works; one that a SuperExec was just starting may come yet.
                pause = LONGEST_IDLE_SECONDS if remove_unheld(folder) else IDLE_SECONDS
            except Exception:  # whatever it is, the SuperNode goes on
                pause = LONGEST_IDLE_SECONDS
            else:
                pause = min(2 * pause, LONGEST_IDLE_SECONDS)
            self._next[run] = (time.monotonic() + pause, pause)


def remove_unheld(folder: Path) -> bool:
    """Remove a folder unless an app's process holds it; return whether it is gone."""
    try:
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return not folder.exists()
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        return False
    finally:
        os.close(held)
    return not folder.exists()


def tidy_up(root: Path) -> None:
    """Have the SuperNode of this process remove the folders of its ClientApps."""
    scratch = Scratch(root)
    scratch.clear()
    try:
        module: Any = importlib.import_module("flwr.supernode.start_client_internal")
        module._pull_and_store_message = scratch.watched(module._pull_and_store_message, module.RunNotRunningException)
    except (ImportError, AttributeError):
        return


def say_node_id(release: str) -> None:
    """Have a SuperNode say which id it has, as those from 1.24 on do by themselves."""
    if int(release.split(".")[1]) >= 24:
        return
    state: Any = importlib.import_module("flwr.supernode.nodestate.in_memory_nodestate").InMemoryNodeState
    original = state.set_node_id

    def saying(self: Any, node_id: int) -> None:
        print(f"SuperNode ID: {node_id}", flush=True)
        original(self, node_id)

    state.set_node_id = saying


def run(name: str) -> object:
    """Run a program, with the arguments of this process."""
    began = time.monotonic()
    waiting = Waiting(os.environ.pop(WAIT_FOR, "").split(","), os.environ.pop(WAIT_FOR_FILE, ""))
    if name == "flower-superexec":
        waiting.go_on(IMPORT_SECONDS)
    flower = distribution("flwr")
    for entry in flower.entry_points:
        if entry.group == "console_scripts" and entry.name == name:
            program = entry.load()
            break
    else:
        print(f"flowerbed: this release of Flower has no program {name!r}", file=sys.stderr)
        return 127
    if name == "flower-supernode":
        if root := os.environ.get(SCRATCH_ROOT):
            tidy_up(Path(root))
        say_node_id(flower.version)
    waiting.go_on()
    left = began + float(os.environ.pop(SETTLE, "0")) - time.monotonic()
    if left > 0 and not waiting.took_time:
        print(f"[flowerbed: one of this name may have just left; it begins in {left:.1f} s]", flush=True)
        time.sleep(left)
    take_levers(name)
    return program()
