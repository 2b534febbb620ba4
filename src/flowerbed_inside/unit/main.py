"""The init of a Pod's container: it runs the programs of one unit, and the end of one is the end of all.

::

    python -u FOLDER unit.main [OPTION …] -- NAME PROGRAM [ARGUMENT …] [-- NAME PROGRAM [ARGUMENT …] …]

Kubernetes restarts single containers, never all those of a Pod. A SuperNode without its SuperExec (or the other way
round) hangs and is noticed by nobody, so both live in one container, and this is its process 1. It passes on what
they say, line by line, without colours and other control sequences, with the program's name in front
where there is more than one; it reaps orphans; it
notices a SuperNode for which a run waits in vain (`wedge`); it tells a kubelet whether the unit is ready.

=========================== ===========================================================================================
Option                      Meaning
=========================== ===========================================================================================
--health-port PORT          answer ``GET /ready`` and ``GET /live`` there
--make-folder DIR           make a folder, and those above it, before anything starts (repeatable)
--first-partition N         ``{partition-id}`` in an argument becomes N plus the number that ends the host's name
--hostname NAME             a host's name instead of this one's
--wait-for NAME=HOST:PORT   the program NAME begins when that address answers; see the launcher (repeatable)
--ready-request DIALECT:PORT       ready when the SuperLink at that port has answered one request (repeatable)
--ready-connected NAME=HOST:PORT   ready when the program NAME has held a connection to that port (repeatable)
--ready-listening PORT      ready when something listens on that port (repeatable)
--ready-within SECONDS      end, to be started again, when the unit is not ready after so long
--root-certificates FILE    the SuperLink is spoken to over TLS, and these authorities are trusted
--register-nodes FILE       ready when the SuperLink knows these SuperNodes; told anew when the file changes
--dismiss-nodes FILE        and lets in none with a key of this list, which need not be there
--database FILE             the SuperLink's database, for a release that is told there
--node-keys FILE=FOLDER     put one of a SuperNode's keys into the folder before it starts; another each time
--end-when-changed FILE     end, to be started again, when the file's content changes (repeatable)
--refused RE                end when the first program, a SuperNode, says that it is not let in: some releases hang then
--taken, --replied, --lost  how the first program, a SuperNode, says that it took a message and was done with it
--finish SECONDS            a SuperNode that is asked to end has so long to reply to what it works on, if anything (0)
--grace SECONDS             how long the programs may take to end before they are killed (20)
=========================== ===========================================================================================

The exit status is 0 after a SIGTERM or SIGINT, which ends all programs; else that of the program that ended first
(1 for its 0, 128 + N for a signal, 127 if it cannot be started), 69 for a unit that does not get ready, 70 for a
wedge, 75 after a change and 77 for a SuperNode that is not let in. It is 2 for options that make no sense. What this
itself has to say is a line ``[flowerbed: …]``.

With --finish a SuperNode at work ends once its reply was fetched (`finishing`); asked again it ends at once.

An app process that is at work gets the SIGTERM before the program that started it and before the SuperNode, so
that newer releases can tell, while there is someone to tell it to, that the task is lost. The program that started it
is paused meanwhile: it would start the next one.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NoReturn

from flowerbed_inside import proc
from flowerbed_inside.text import plain_bytes
from flowerbed_inside.unit import finishing, health, node_keys, readiness, wedge
from flowerbed_inside.unit.endings import Endings
from flowerbed_inside.unit.options import Options, parse
from flowerbed_inside.unit.programs import Output, Program
from flowerbed_inside.variables import SETTLE

NOT_READY = 69
WEDGED = 70
CHANGED = 75
REFUSED = 77
CANNOT_START = 127

_STARTING_TICK = 0.1  # seconds between two looks until the unit is ready; HTTP connections can be that short
_TICK = 1.0  # and after that
_FINISHING_TICK = 0.2  # between two looks whether a SuperNode that was asked to end has replied
_ENDING_TICK = 0.05
_ORPHANS_SECONDS = 2.0  # what processes may take to end whose program has ended
_LIVE_SECONDS = 15.0  # the loop has stopped turning if it did not for so long
_LAST_WORDS_SECONDS = 3.0
_CHANGE_SECONDS = 5.0  # between two looks at files that may change


class Files:
    """Notices that one of some files is not what it was at first; one that cannot be read has not changed.

    Parameters
    ----------
    paths : sequence of Path
        Which.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._first = {path: _content(path) for path in paths}
        self._looked = time.monotonic()

    def changed(self) -> Path | None:
        """Return one that has changed; looks at most every few seconds."""
        if time.monotonic() - self._looked < _CHANGE_SECONDS:
            return None
        self._looked = time.monotonic()
        for path, first in self._first.items():
            now = _content(path)
            if now is not None and first is not None and now != first:
                return path
        return None


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


class Never:
    """A condition that does not hold, for a unit that is not to be ready.

    Parameters
    ----------
    why : str
        What is said of it.
    """

    def __init__(self, why: str) -> None:
        self.waiting = why

    def holds(self) -> bool:
        """Look."""
        return False


class WedgeWatch:
    """Compares what the SuperNode says with which processes are there."""

    def __init__(self, marks: wedge.Marks) -> None:
        self._marks = marks
        self._watch = wedge.Watch()
        self._unread: deque[str] = deque()

    def hear(self, line: bytes) -> None:
        """Take a line of the SuperNode's, from any thread."""
        text = line.decode(errors="replace")
        if self._marks.tell(text):  # few do; the others cost no memory
            self._unread.append(text)

    @property
    def busy(self) -> bool:
        """Whether the SuperNode owed a reply when it was last looked."""
        return self._watch.busy

    @property
    def replied(self) -> float | None:
        """When it had replied last by then (monotonic seconds)."""
        return self._watch.replied

    def look(self, pids: Iterable[int]) -> str:
        """Return why a run waits in vain; empty if none does."""
        lines = [self._unread.popleft() for _ in range(len(self._unread))]
        worker = any(wedge.WORKER in proc.names(pid) for pid in pids)
        now = time.monotonic()
        self._watch = self._watch.observe("".join(lines), self._marks, worker=worker, now=now)
        return self._watch.why(now)


class Unit:
    """The programs, from their start to the end of the last.

    Parameters
    ----------
    programs : list of Program
        What to run.
    output : Output
        Where their lines go.
    marks : wedge.Marks or None
        How the first one's log shows its work, if it is a SuperNode.
    options : Options
        More of what the command line says.
    """

    def __init__(self, programs: list[Program], output: Output, marks: wedge.Marks | None, options: Options) -> None:
        self._programs = programs
        self._output = output
        self._grace = options.grace
        self._finish = options.finish
        self._finishing: finishing.Finishing | None = None
        self._superlink = next((address for name, address in options.wait_for if name == programs[0].name), None)
        self._wedge = WedgeWatch(marks) if marks else None
        self._files = Files(options.end_when_changed)
        self._ready_until = time.monotonic() + options.ready_within
        self._refusal = re.compile(options.refused) if options.refused else None
        self._refused = ""
        self._endings = Endings()
        self._first_to_end: Program | None = None
        self._asked = False
        self._asked_again = False
        self._ending = False
        self._conditions: list[readiness.Condition] = []
        self._waiting = "starting"
        self._turned = time.monotonic()
        self._wakeup, wakes = socket.socketpair()
        for end in (self._wakeup, wakes):
            end.setblocking(False)
        self._wakes = wakes
        signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)
        for asked in (signal.SIGTERM, signal.SIGINT):
            signal.signal(asked, self._ask_to_end)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # so that it wakes us

    def run(self, conditions: Callable[[], list[readiness.Condition]]) -> int:
        """Run the programs until they have all ended; return the exit status."""
        status = self._start()
        if status == 0:
            self._conditions = conditions()
            status = self._watch()
        self._end()
        until = time.monotonic() + _LAST_WORDS_SECONDS  # nobody may be reading them
        for program in self._programs:
            if program.reader is not None:
                program.reader.join(max(0.0, until - time.monotonic()))
        return 0 if self._asked else status

    def ready(self) -> tuple[bool, str]:
        """Tell whether the unit is ready, and why."""
        if self._ending:
            return False, "the unit is ending"
        return not self._waiting, self._waiting or "ready"

    def live(self) -> tuple[bool, str]:
        """Tell whether somebody still looks after the programs."""
        idle = time.monotonic() - self._turned
        return idle < _LIVE_SECONDS, f"looked {idle:.1f} s ago"

    def tree(self, name: str) -> list[int]:
        """Return a program's processes."""
        table = proc.children_by_parent()
        pids = [program.pid for program in self._programs if program.name == name and program.running]
        return [pid for top in pids for pid in (top, *proc.descendants(top, table))]

    def _start(self) -> int:
        for number, program in enumerate(self._programs):
            hear = self._hear if number == 0 else None
            try:
                program.start(self._taker(program, hear))
            except OSError as error:
                self._output.say(f"{program.name} cannot be started: {program.argv[0]}: {error.strerror}")
                return CANNOT_START
        return 0

    def _taker(self, program: Program, hear: Callable[[bytes], None] | None) -> Callable[[bytes], None]:
        prefix = self._prefix(program).encode()

        def take(line: bytes) -> None:
            self._output.write(prefix + plain_bytes(line))
            if hear is not None:
                hear(line)

        return take

    def _hear(self, line: bytes) -> None:
        """Take a line of the first program's, from any thread."""
        if self._wedge is not None:
            self._wedge.hear(line)
        if self._refusal is not None and not self._refused:
            text = line.decode(errors="replace")
            if self._refusal.search(text):
                self._refused = text.strip()
                self._wakeup_soon()

    def _wakeup_soon(self) -> None:
        with contextlib.suppress(OSError):  # it is full, so the loop turns anyway
            self._wakes.send(b"!")

    def _prefix(self, program: Program) -> str:
        return f"{program.name} | " if len(self._programs) > 1 else ""

    def _watch(self) -> int:
        """Return when all is to end, with the exit status for it."""
        looked = 0.0
        while True:
            if self._asked and self._may_end():
                return 0
            if self._first_to_end is not None:
                others = [program.name for program in self._programs if program.running]
                with_it = f"; {', '.join(others)} is ended too" if others else ""
                self._output.say(f"{self._first_to_end.describe_end()}{with_it}")
                status = self._first_to_end.status or 0
                return 128 - status if status < 0 else status or 1
            if self._refused:
                prefix = self._prefix(self._programs[0])
                self._output.say("this SuperNode is not let in; its unit is restarted", prefix)
                return REFUSED
            if (path := self._files.changed()) is not None:
                self._output.say(f"{path} has changed; the unit is restarted")
                return CHANGED
            if self._waiting:
                self._look_whether_ready()
                if self._waiting and time.monotonic() >= self._ready_until:
                    self._output.say(f"{self._waiting}, and its time to get ready is over; the unit is restarted")
                    return NOT_READY
            if time.monotonic() - looked >= _TICK:
                looked = time.monotonic()
                self._tell_endings()
                if self._wedge and (why := self._wedge.look(self._descendants())):
                    prefix = self._prefix(self._programs[0])
                    self._output.say(f"this SuperNode {why}; its unit is restarted", prefix)
                    return WEDGED
            self._turn(_FINISHING_TICK if self._asked else _STARTING_TICK if self._waiting else _TICK)

    def _tell_endings(self) -> None:
        """Say which processes of apps were killed: the SuperExec that started them never asks."""
        table = proc.children_by_parent()
        for program in self._programs:
            tree = [program.pid, *proc.descendants(program.pid, table)] if program.running else []
            for ending in self._endings.look(tree):
                if ending.killed or ending.app == "ServerApp":
                    self._output.say(f"the {ending.app} {ending.words}", self._prefix(program))

    def _may_end(self) -> bool:
        """Tell whether nobody waits for a reply of the SuperNode that was asked to end, or not any longer."""
        if self._wedge is None or self._finish <= 0 or self._asked_again:
            self._output.say("asked to end")
            return True
        self._wedge.look(self._descendants())
        busy, replied = self._wedge.busy, self._wedge.replied
        if not busy and finishing.is_fetched(replied):
            self._output.say("asked to end" if self._finishing is None else "its last reply was fetched; it ends")
            return True
        if self._finishing is None:
            self._finishing = finishing.Finishing(self._finish, self._superlink)
            what = "what it works on" if busy else "its last reply"
            self._output.say(f"asked to end; {what} has {self._finish:g} s to get to the ServerApp")
        if why := self._finishing.over(busy=busy):
            self._output.say(f"{why}; it ends")
            return True
        return False

    def _look_whether_ready(self) -> None:
        self._conditions = [condition for condition in self._conditions if not condition.holds()]
        self._waiting = "; ".join(condition.waiting for condition in self._conditions)

    def _turn(self, seconds: float) -> None:
        """Wait for a signal, at most so long, and take what has happened."""
        select.select([self._wakeup], [], [], seconds)
        try:
            while self._wakeup.recv(4096):
                continue
        except BlockingIOError:
            pass
        self._reap()
        self._turned = time.monotonic()

    def _reap(self) -> None:
        """Take the status of every child that has ended: programs, and orphans that came to us."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for program in self._programs:
                if program.pid == pid and program.status is None:
                    program.status = os.waitstatus_to_exitcode(status)
                    self._first_to_end = self._first_to_end or program

    def _descendants(self) -> list[int]:
        return proc.descendants(os.getpid(), proc.children_by_parent())

    def _ask_to_end(self, *_: object) -> None:
        self._asked_again = self._asked
        self._asked = True

    def _end(self) -> None:
        """End every process: app processes, then the programs, then what is left."""
        self._ending = True
        until = time.monotonic() + self._grace
        table = proc.children_by_parent()
        parents = [program.pid for program in self._programs if program.running]
        started_by = (*parents, os.getpid())  # by us: those whose SuperExec was killed
        apps = {parent: [pid for pid in table.get(parent, ()) if _is_app(pid)] for parent in started_by}
        paused = [parent for parent in parents if apps[parent]]
        _send(paused, signal.SIGSTOP)
        self._end_these([pid for found in apps.values() for pid in found], time.monotonic() + self._grace / 2)
        _send(parents, signal.SIGTERM)
        _send(paused, signal.SIGCONT)
        self._await(lambda: any(program.running for program in self._programs), until)
        self._end_these(self._descendants(), min(until, time.monotonic() + _ORPHANS_SECONDS))
        self._await(self._kill_all, time.monotonic() + _LAST_WORDS_SECONDS)

    def _end_these(self, pids: list[int], until: float) -> None:
        _send(pids, signal.SIGTERM)
        self._await(lambda: bool(set(pids) & set(self._descendants())), until)

    def _kill_all(self) -> bool:
        """Kill what is there; return whether anything was, for it may have forked meanwhile."""
        left = self._descendants()
        _send(left, signal.SIGKILL)
        return bool(left)

    def _await(self, there: Callable[[], bool], until: float) -> None:
        """Return when something is no more, or at a time."""
        self._reap()
        while there() and time.monotonic() < until:
            self._turn(_ENDING_TICK)


def _is_app(pid: int) -> bool:
    """Tell whether a process runs an app: Flower's programs for that are all called ``flwr-…``."""
    return any(name.startswith("flwr-") for name in proc.names(pid))


def _send(pids: Iterable[int], sent: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, sent)
        except ProcessLookupError:
            continue


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent dies, as process 1 of a container is anyway."""
    if os.getpid() != 1:
        import ctypes

        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def run() -> int:
    """Run a unit."""
    options, programs, marks = parse(sys.argv[1:])
    output = Output(1)
    for folder in options.make_folder:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            output.say(f"the folder {folder} cannot be made: {error.strerror}")
            return 1
    adopt_orphans()
    without_key = ""
    if options.node_keys is not None:
        if programs and node_keys.is_new(options.node_keys[1]):
            programs[0].env[SETTLE] = str(node_keys.SETTLE_SECONDS)
        try:
            output.say(f"this SuperNode comes with {node_keys.take(*options.node_keys)}")
        except node_keys.RevokedError as error:
            without_key = f"this SuperNode does not join: {error}"
            output.say(without_key)
            programs = []  # and waits: started again and again, it would only find the same
        except (node_keys.NoKeyError, OSError) as error:
            output.say(f"this SuperNode cannot join: {error}")
            return 1
    unit = Unit(programs, output, marks, options)
    if options.health_port is not None:
        try:
            health.serve(options.health_port, {"/ready": unit.ready, "/live": unit.live})
        except OSError as error:
            output.say(f"port {options.health_port}, for the probes, cannot be opened: {error.strerror}")
            return 1

    def conditions() -> list[readiness.Condition]:
        if without_key:
            return [Never(without_key)]
        answered = [
            readiness.Answered(dialect, port, options.root_certificates) for dialect, port in options.ready_request
        ]
        return [
            *answered,
            *_told(options, answered),
            *(readiness.Connected(name, address, unit.tree) for name, address in options.ready_connected),
            *(readiness.Listening(port) for port in options.ready_listening),
        ]

    return unit.run(conditions)


def _told(options: Options, answered: Sequence[readiness.Condition]) -> list[readiness.Condition]:
    if options.register_nodes is None:
        return []
    from flowerbed_inside.unit import admission  # only a SuperLink's unit needs what it brings along

    [(dialect, port)] = options.ready_request
    address = f"{readiness.LOOPBACK}:{port}"
    to_tell = admission.ToTell(
        dialect,
        address,
        options.root_certificates,
        options.database,
        options.register_nodes,
        options.dismiss_nodes,
    )
    return [admission.Told(to_tell, answered[0].holds)]


def main() -> NoReturn:
    """Run a unit's programs, and end with the unit's status."""
    status = run()
    sys.stdout.flush()
    os._exit(status)  # threads that wait do not keep us
