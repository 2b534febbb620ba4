"""A SuperExec's fork server: the processes of apps are forked from one that has loaded what they need.

A SuperExec starts a process for each message, which imports Flower and the app's libraries and ends when it has
replied. Here each is still a process of its own, but a copy of one that has imported them already. An app's own code is
never in that one: whatever an app does is gone with its process.

=================== ===================================================================================================
SuperExec           asks for a process where Flower calls ``subprocess.Popen``; adopts it, so that it is its child
the server          forked from the SuperExec before that has begun: no thread, no secret, no connection
the loaded server   forked from the server; has imported libraries, and was looked at afterwards. There is none until it
                    is known which libraries an app needs: from a file, or from the first app's process
an app's process    forked from the one or the other, twice, so that its parent ends and the SuperExec adopts it
=================== ===================================================================================================

The door is a descriptor that the SuperExec has inherited. A request is the descriptors of the standard streams and of a
line on which the new process says its id and is told what it is: so no server ever has a token in its memory. Servers
may not be traced, ignore all signals that can be ignored, and are killed with their SuperExec. An app can still kill
the server of its own SuperExec, or stop it, as it can the SuperExec: then processes are started as Flower does it.

It runs in Flower's environment: standard library only.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import gc
import inspect
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from flowerbed_inside import packages
from flowerbed_inside.launch import becoming, execution, forking, libraries, room

PRIVATE: dict[str, str] = {}
"""Nothing of Flower's is used but the names of its programs."""

ANSWER_SECONDS = 30.0
"""A server that has not answered for so long is stopped, or worse: it is killed, and asked nothing more."""
WAIT_SECONDS = 15.0
"""How long a request waits for libraries that are being imported; to import them itself would take as long."""
IMPORT_SECONDS = 120.0
MOST_LOADED = 4
"""How often libraries are imported: once for each app with others, but not for each of many."""

Programs = Mapping[str, Callable[[], object]]
"""The programs that run apps: name → what is called in their process."""

_STREAMS = 3
_REPORT_BYTES = 1_000_000
_GOING_MILLISECONDS = 200
_FORK = b"f"
_LOADED, _NOT_LOADED = b"+", b"-"
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_KEPT_SIGNALS = {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}
_FAULTS = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT, signal.SIGTRAP, signal.SIGSYS}


def begin(programs: Programs, prepare: Callable[[], None]) -> None:
    """Fork a server, and have this process ask it for the processes of apps from now on.

    Parameters
    ----------
    programs : mapping of str to callable
        The programs that run apps.
    prepare : callable
        Imports what all of them need; it is called in the server.
    """
    if not execution.is_wanted():
        execution.say(execution.ISOLATED, execution.ASKED_FOR)
        return
    if why := forking.unsafe():
        execution.say(execution.ISOLATED, why)
        return
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    gc.collect()
    gc.freeze()  # so that this process and the server go on sharing what is there
    _flush()
    superexec, signals = os.getpid(), becoming.Signals.now()
    server = os.fork()
    if server == 0:
        ours.close()
        _serve(Server(theirs, superexec, signals, programs), prepare)
    theirs.close()
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    Door(ours, server, frozenset(programs)).open()


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()


class Door:
    """The SuperExec's side: asks the server for processes.

    Parameters
    ----------
    door : socket.socket
        Leads to the server.
    server : int
        Its process.
    programs : frozenset of str
        What it can start.
    """

    def __init__(self, door: socket.socket, server: int, programs: frozenset[str]) -> None:
        self._door: socket.socket | None = door
        self._server = server
        self._programs = programs
        self._lock = threading.Lock()

    def open(self) -> None:
        """Have ``subprocess.Popen`` ask the server for what it can start."""
        stock: Any = subprocess.Popen
        door, parameters = self, inspect.signature(stock._execute_child)

        class Popen(stock):  # type: ignore[misc]
            """Starts a process; that of an app is a copy of one that has loaded what it needs."""

            def __init__(self, args: Any, *rest: Any, **options: Any) -> None:
                self._may_be_forked = not rest and options.keys() <= {"stdout", "stderr"} and door.starts(args)
                super().__init__(args, *rest, **options)

            def _execute_child(self, *values: Any) -> None:
                if self._may_be_forked:
                    given = parameters.bind(self, *values).arguments
                    pipes = [given[name] for name in _PIPES]
                    streams = [
                        0,
                        *(number if number != -1 else own for number, own in zip(pipes[3::2], (1, 2), strict=True)),
                    ]
                    if pid := door.ask(list(given["args"]), streams):
                        self.pid, self._child_created = pid, True
                        self._close_pipe_fds(*pipes)
                        return
                super()._execute_child(*values)

        subprocess.Popen = Popen  # type: ignore[misc]

    def starts(self, args: Any) -> bool:
        """Tell whether the server can start this."""
        is_command = isinstance(args, list | tuple) and all(isinstance(word, str) for word in args)
        return self._door is not None and is_command and bool(args) and args[0] in self._programs

    def ask(self, argv: list[str], streams: Sequence[int]) -> int:
        """Return the id of a new process that runs a program; 0 if there is none."""
        with self._lock:
            if self._door is None:
                return 0
            _flush()
            line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
            with line:
                line.settimeout(ANSWER_SECONDS)
                try:
                    with theirs:
                        socket.send_fds(self._door, [_FORK], [*streams, theirs.fileno()], socket.MSG_DONTWAIT)
                    pid = int(line.recv(32) or b"0")
                    if not pid and self._is_closed():
                        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
                except TimeoutError:
                    self._give_up("the fork server does not answer")
                    return 0
                except OSError as error:
                    self._give_up(f"the fork server is gone ({error.strerror})")
                    return 0
                start = {"argv": argv, "environment": dict(os.environ), "folder": os.getcwd()}  # noqa: PTH109
                with suppress(OSError):
                    line.sendall(json.dumps(start).encode())
                return pid

    def _is_closed(self) -> bool:
        """Tell whether the server, which has not answered, has gone or is just going."""
        poll = select.poll()
        poll.register(self._door or -1, 0)
        return bool(poll.poll(_GOING_MILLISECONDS))

    def _give_up(self, why: str) -> None:
        """Ask nothing more of the server."""
        if self._door is not None:
            self._door.close()
            self._door = None
            with suppress(ProcessLookupError):
                os.kill(self._server, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(self._server, 0)
            execution.say(execution.ISOLATED, why)


_PIPES = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
"""What `subprocess.Popen` calls the ends of the standard streams, in its order."""


def _serve(server: Server, prepare: Callable[[], None]) -> NoReturn:
    """Run a server to its end; its process ends with it."""
    try:
        server.run(prepare)
    except BaseException as error:
        with suppress(BaseException):
            execution.say(execution.ISOLATED, f"the fork server failed: {type(error).__name__}: {error}")
    finally:
        os._exit(0)


def _guard(name: str, parent: int) -> None:
    """Make this process a server: end with its parent, be traced by nobody, and be found by its name."""
    becoming.protect()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)
    becoming.call(name)
    becoming.show([name])


def _ignore_signals() -> None:
    for number in signal.valid_signals() - _KEPT_SIGNALS - _FAULTS:
        if signal.getsignal(number) is not None:  # else it is C code's
            signal.signal(number, signal.SIG_IGN)


class Server:
    """The first server: as the SuperExec was before it began, with Flower.

    Parameters
    ----------
    door : socket.socket
        Where requests come from.
    superexec : int
        The process of the SuperExec.
    signals : Signals
        How that took signals.
    programs : mapping of str to callable
        The programs that run apps.
    """

    def __init__(self, door: socket.socket, superexec: int, signals: becoming.Signals, programs: Programs) -> None:
        self._door = door
        self._apps = Apps(superexec, signals, programs)
        self._signals = signals
        self._loaded: Loaded | None = None
        self._times = 0
        self._known: dict[str, None] = {}
        self._reports: dict[int, bytes] = {}
        self._file = Path(os.environ[execution.LIBRARIES]) if execution.LIBRARIES in os.environ else None
        self._file_time = 0

    def run(self, prepare: Callable[[], None]) -> None:
        """Answer requests until the SuperExec ends."""
        _guard("flowerbed-fork-server", self._apps.superexec)
        _ignore_signals()
        prepare()
        gc.collect()
        gc.freeze()
        self._apps.before = frozenset(sys.modules)
        if why := forking.unsafe(frozenset({self._door.fileno()})):
            execution.say(execution.ISOLATED, why)
            return
        execution.say(execution.WARM, "Flower is loaded")
        while True:
            self._look_at_file()
            for ready in self._wait():
                if ready == self._door.fileno():
                    if not self._answer():
                        return
                elif ready in self._reports:
                    self._hear(ready)
                elif self._loaded is not None and ready == self._loaded.socket.fileno():
                    self._take_news()
            if self._loaded is not None and self._loaded.is_late():
                self._drop(f"importing them took more than {IMPORT_SECONDS:g} s")

    def _wait(self) -> list[int]:
        poll = select.poll()
        for descriptor in (self._door.fileno(), *self._reports):
            poll.register(descriptor, select.POLLIN)
        if self._loaded is not None:
            poll.register(self._loaded.socket, select.POLLIN)
        is_loading = self._loaded is not None and not self._loaded.ready
        return [descriptor for descriptor, _ in poll.poll(1000 if is_loading else None)]

    def _answer(self) -> bool:
        """Take a request; return whether there may be another."""
        data, descriptors, _, _ = socket.recv_fds(self._door, 16, _STREAMS + 1, socket.MSG_CMSG_CLOEXEC)
        if not data:
            return False
        self._look_at_file()
        report = -1
        if self._file is None and self._times < MOST_LOADED and len(descriptors) == _STREAMS + 1:
            read, report = os.pipe()
            os.set_blocking(read, False)
            self._reports[read] = b""
            descriptors.append(report)
        try:
            if not self._hand_on(descriptors):
                self._apps.start(descriptors)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return True

    def _hand_on(self, descriptors: list[int]) -> bool:
        """Have the loaded server start it; return whether that could be asked."""
        until = time.monotonic() + WAIT_SECONDS
        while self._loaded is not None and not self._loaded.ready and time.monotonic() < until:
            select.select([self._loaded.socket], [], [], until - time.monotonic())
            self._take_news()
        if self._loaded is None or not self._loaded.ready:
            return False
        try:
            socket.send_fds(self._loaded.socket, [_FORK], descriptors, socket.MSG_DONTWAIT)
        except OSError:
            self._drop("the process that had imported them is gone")
            return False
        return True

    def _look_at_file(self) -> None:
        """Import what the file says, when it says something new."""
        if self._file is None:
            return
        with suppress(OSError):
            written = self._file.stat().st_mtime_ns
            if written != self._file_time:
                self._file_time = written
                self._know(libraries.known_from(self._file))

    def _hear(self, descriptor: int) -> None:
        """Take what an app's process says of its modules."""
        try:
            part = os.read(descriptor, 65536)
        except BlockingIOError:
            return
        self._reports[descriptor] += part
        if part and len(self._reports[descriptor]) <= _REPORT_BYTES:
            return
        os.close(descriptor)
        told = self._reports.pop(descriptor)
        if told:
            with suppress(libraries.NotImportedError):
                self._know(libraries.read(told))

    def _know(self, names: Sequence[str]) -> None:
        """Load libraries if there is a package among them that is not known yet."""
        known = {name.partition(".")[0] for name in (*self._known, *sys.modules)}
        self._known |= dict.fromkeys(names)
        if any(name.partition(".")[0] not in known for name in names) and self._times < MOST_LOADED:
            self._times += 1
            self._load()

    def _load(self) -> None:
        """Fork a loaded server, in the place of the one there was."""
        if self._loaded is not None:
            self._loaded.end()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        _flush()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            with contextlib.ExitStack() as closed:
                for left in (ours, self._door):
                    closed.callback(left.close)
            for report in self._reports:
                os.close(report)
            _serve_loaded(theirs, parent, self._apps, self._signals, list(self._known))
        theirs.close()
        self._loaded = Loaded(pid, ours)

    def _take_news(self) -> None:
        """Take what the loaded server says of itself, or that it is gone."""
        if self._loaded is None:
            return
        try:
            news = self._loaded.socket.recv(4096, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            news = b""
        if news[:1] == _LOADED:
            self._loaded.ready = True
            execution.say(execution.WARM, f"Flower is loaded, and {news[1:].decode()}")
        else:
            self._drop(news[1:].decode() or "importing them ended the process")

    def _drop(self, why: str) -> None:
        """Go on without libraries."""
        if self._loaded is not None:
            self._loaded.end()
            self._loaded = None
            execution.say(execution.WARM, f"Flower is loaded, {execution.NO_LIBRARIES}{why}")


class Loaded:
    """What the server knows of the loaded one.

    Parameters
    ----------
    pid : int
        Its process.
    socket : socket.socket
        Leads to it.
    """

    def __init__(self, pid: int, socket: socket.socket) -> None:
        self.pid = pid
        self.socket = socket
        self.ready = False
        self._since = time.monotonic()

    def is_late(self) -> bool:
        """Tell whether it has been importing for too long."""
        return not self.ready and time.monotonic() - self._since > IMPORT_SECONDS

    def end(self) -> None:
        """End it; processes that it has started stay."""
        self.socket.close()
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


def _serve_loaded(
    door: socket.socket, parent: int, apps: Apps, signals: becoming.Signals, wanted: list[str]
) -> NoReturn:
    """Run a loaded server to its end; its process ends with it."""
    try:
        _guard("flowerbed-loaded-server", parent)
        signals.restore()
        _run_loaded(door, apps, wanted)
    finally:
        for child in forking.children():  # libraries may have started some
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        os._exit(0)


def _run_loaded(door: socket.socket, apps: Apps, wanted: list[str]) -> None:
    """Import libraries, look at what that has done, and start processes until the server ends."""
    if why := _import(wanted, apps):
        door.send(_NOT_LOADED + why.encode()[:2000])
        return
    _ignore_signals()
    gc.collect()
    gc.freeze()
    apps.before = frozenset(sys.modules)
    if why := forking.unsafe(frozenset({door.fileno()})):
        door.send(_NOT_LOADED + f"after they were imported, {why}".encode())
        return
    names = sorted({name.partition(".")[0] for name in packages.loaded(apps.early)})
    door.send(_LOADED + ", ".join(names).encode()[:2000])
    while True:
        data, descriptors, _, _ = socket.recv_fds(door, 16, _STREAMS + 2, socket.MSG_CMSG_CLOEXEC)
        if not data:
            return
        try:
            apps.start(descriptors)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)


def _import(wanted: list[str], apps: Apps) -> str:
    """Import libraries, and have apps start with what that has changed; return why that was not possible."""
    before = dict(os.environ)
    try:
        apps.early = frozenset(libraries.load(wanted, room.lacking))
    except libraries.NotImportedError as error:
        return str(error)
    apps.signals = becoming.Signals.now()
    apps.added = {
        name: os.environ.get(name)
        for name in before.keys() | os.environ.keys()
        if before.get(name) != os.environ.get(name)
    }
    return ""


class Apps:
    """Starts the processes of apps.

    Parameters
    ----------
    superexec : int
        The process that becomes their parent.
    signals : Signals
        How they take signals.
    programs : mapping of str to callable
        What they run.
    """

    def __init__(self, superexec: int, signals: becoming.Signals, programs: Programs) -> None:
        self.superexec = superexec
        self.signals = signals
        self.before: frozenset[str] = frozenset()
        self.early: frozenset[str] = frozenset()
        self.added: dict[str, str | None] = {}
        self._programs = programs

    def start(self, descriptors: list[int]) -> None:
        """Fork a process that says its id to whom asked for it, and becomes what it is told.

        Parameters
        ----------
        descriptors : list of int
            The standard streams, the line to whom asked, and where the process may say which modules it has loaded.
        """
        between = os.fork()
        if between == 0:
            between = os.getpid()
            try:
                if os.fork() == 0:
                    self._start(descriptors, between)
            finally:
                os._exit(0)
        os.waitpid(between, 0)

    def _start(self, descriptors: list[int], between: int) -> NoReturn:
        while os.getppid() == between:
            time.sleep(0.0005)
        if os.getppid() != self.superexec:
            os._exit(0)
        streams, line, report = descriptors[:_STREAMS], descriptors[_STREAMS], [*descriptors[_STREAMS + 1 :], -1][0]
        with socket.socket(fileno=line) as talk:
            talk.sendall(str(os.getpid()).encode())
            told = b"".join(iter(lambda: talk.recv(1 << 16), b""))
        if not told:  # nobody waits for it any longer
            os._exit(0)
        start = becoming.Start(**json.loads(told))
        becoming.become(start, streams, self.signals, self.added, report)
        sys.path = libraries.ImportPath(sys.path, self.early)

        def tell() -> None:
            if report != -1:
                new = [name for name in packages.loaded(list(sys.modules)) if name not in self.before]
                _write(report, json.dumps(new).encode() if new else b"")

        becoming.run(self._programs[start.argv[0]], self.before, tell)
        os._exit(1)


def _write(pipe: int, text: bytes) -> None:
    """Write to a pipe whose reader may have stopped reading."""
    os.set_blocking(pipe, False)
    left = memoryview(text)
    while left and select.select([], [pipe], [], 1.0)[1]:
        left = left[os.write(pipe, left) :]
