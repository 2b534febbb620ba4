"""The fork server, asked as a SuperExec asks it: real forks, no Flower."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flowerbed import processes
from flowerbed_inside.launch.execution import Execution, last_said

SUPEREXEC = Path(__file__).with_name("superexec.py")


class SuperExec:
    """A stand-in SuperExec, and what its programs said.

    Parameters
    ----------
    folder : Path
        Where it works.
    python : str
        What runs it.
    variables : str
        More of its environment.
    """

    def __init__(self, folder: Path, python: str = sys.executable, **variables: str) -> None:
        self.folder = folder
        programs = folder / "bin"
        programs.mkdir()
        for name in ("flwr-clientapp", "flwr-serverapp"):
            text = SUPEREXEC.read_text(encoding="utf-8")
            (programs / name).write_text(f"#!{python}\n{text}", encoding="utf-8")
            (programs / name).chmod(0o755)
        self.log = folder / "log"
        environment = {"PATH": f"{programs}:{os.defpath}", "FLOWERBED_COMPONENT": "superexec", "LC_ALL": "C.UTF-8"}
        with self.log.open("ab") as errors:
            self.process = subprocess.Popen(
                [python, str(SUPEREXEC), "--option", "x" * 200],
                env=environment | variables,
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
                preexec_fn=processes.death_sentence(os.getpid()),
            )

    def ask(self, what: Any) -> Any:
        """Ask it something."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def start(self, code: str, *arguments: str, quiet: bool = False) -> int:
        """Start a program; return its process id."""
        found: int = self.ask({"argv": ["flwr-clientapp", *arguments, code], "quiet": quiet})
        return found

    def run(self, code: str, *arguments: str, quiet: bool = False) -> Any:
        """Run a program to its end and return what it has put into the variable `said`."""
        answer = self.folder / "answer"
        answer.unlink(missing_ok=True)
        tell = f"import json, pathlib\npart = pathlib.Path('{answer}.part')\npart.write_text(json.dumps(said))"
        tell += f"\npart.rename('{answer}')"
        self.start(f"{code}\n{tell}", *arguments, quiet=quiet)
        until(answer.exists)
        return json.loads(answer.read_text(encoding="utf-8"))

    def said(self) -> Execution | None:
        """Return how it says that it starts processes."""
        return last_said(self.log.read_text(encoding="utf-8"))

    def until_warm(self, what: str = "Flower is loaded") -> None:
        """Wait until it says so."""
        until(lambda: (said := self.said()) is not None and said.mode == "Warm" and what in said.why)

    def servers(self) -> list[int]:
        """Return the processes of its fork servers, the first one first."""
        tree = processes.descendants(self.process.pid)
        return [pid for pid in tree if processes.command_line(pid).endswith("-server")]

    def close(self) -> None:
        """End it."""
        tree = [self.process.pid, *processes.descendants(self.process.pid)]
        processes.send(tree, signal.SIGKILL)
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe
            pipe.close()


def until(holds: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def superexec(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SuperExec]:
    """One for all tests that leave it as it was."""
    folder = tmp_path_factory.mktemp("superexec")
    one = SuperExec(folder, FLOWERBED_LIBRARIES=known(folder))
    one.until_warm()
    yield one
    one.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., SuperExec]]:
    """Start one for a single test."""
    started: list[SuperExec] = []

    def started_with(**variables: str) -> SuperExec:
        folder = tmp_path / str(len(started))
        folder.mkdir()
        started.append(SuperExec(folder, **variables))
        return started[-1]

    yield started_with
    for one in started:
        one.close()


PROBE = """
import ctypes, os, resource, signal, sys, threading
libc = ctypes.CDLL(None)
death = ctypes.c_int()
libc.prctl(2, ctypes.byref(death), 0, 0, 0)
stat = open("/proc/self/stat").read()
said = {
    "signals": {str(n): str(signal.getsignal(n)).split(" at ")[0] for n in signal.valid_signals()},
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
    "wakeup": signal.set_wakeup_fd(-1),
    "session": os.getsid(0), "group": os.getpgid(0), "parent": os.getppid(),
    "environment": dict(os.environ),
    "shown environment": sorted(open("/proc/self/environ", "rb").read().decode().rstrip(chr(0)).split(chr(0))),
    "argv": sys.argv[1:-1], "original": [os.path.basename(word) for word in sys.orig_argv[:1]],
    "program": os.path.basename(sys.argv[0]), "main": os.path.basename(sys.modules["__main__"].__file__),
    "name": stat[stat.index("(") + 1 : stat.rindex(")")],
    "shown": open("/proc/self/cmdline", "rb").read().decode().split(chr(0))[1].rpartition("/")[2],
    "folder": os.getcwd(), "umask": os.umask(0o22), "nice": os.nice(0),
    "limits": [resource.getrlimit(n) for n in (resource.RLIMIT_NOFILE, resource.RLIMIT_CORE)],
    "descriptors": {n: os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd") if int(n) < 3},
    "others": [n for n in os.listdir("/proc/self/fd") if int(n) > 3],
    "dumpable": libc.prctl(3, 0, 0, 0, 0), "death": death.value,
    "threads": len(os.listdir("/proc/self/task")), "active": threading.active_count(),
    "streams": [(s.fileno(), s.encoding, s.errors, s.line_buffering) for s in (sys.stdin, sys.stdout, sys.stderr)],
}
"""


@pytest.mark.parametrize("quiet", [False, True])
def test_a_forked_process_is_as_one_that_was_started(
    superexec: SuperExec, start: Callable[..., SuperExec], quiet: bool
) -> None:
    stock = start(FLOWERBED_EXECUTION="Isolated")
    until(lambda: stock.said() == Execution("Isolated", "asked for"))

    told = superexec.run(PROBE, "--insecure", "value", quiet=quiet)
    expected = stock.run(PROBE, "--insecure", "value", quiet=quiet)
    assert comparable(told, superexec) == comparable(expected, stock)


SETTINGS = ("FLOWERBED_EXECUTION", "FLOWERBED_LIBRARIES")


def comparable(found: Any, of: SuperExec) -> Any:
    """Return what a process found, without what differs between two SuperExecs."""
    match found:
        case dict():
            return {name: comparable(value, of) for name, value in found.items() if name not in SETTINGS}
        case list():
            return [comparable(one, of) for one in found if not str(one).startswith(SETTINGS)]
        case str():
            return re.sub(r"pipe:.*", "pipe", found.replace(str(of.folder), "FOLDER"))
        case int() if found == of.process.pid:
            return "SUPEREXEC"
        case _:
            return found


def test_each_is_a_child_of_the_superexec_and_reports_its_end_to_it(start: Callable[..., SuperExec]) -> None:
    one = start()
    one.until_warm()
    for code in (
        "raise SystemExit(7)",
        "import os; os.kill(os.getpid(), 9)",
        "1 / 0",
        "raise SystemExit('no')",
        "pass",
    ):
        one.start(code)
    one.start("raise KeyboardInterrupt")
    assert one.ask("ends") == [7, -signal.SIGKILL, 1, 1, 0, -signal.SIGINT]
    assert "ZeroDivisionError" in one.log.read_text(encoding="utf-8")


def test_each_has_randomness_of_its_own(superexec: SuperExec) -> None:
    code = "import random, os, multiprocessing as m\nsaid = [random.random(), list(m.current_process().authkey)]"
    first, second = superexec.run(code), superexec.run(code)
    assert first[0] != second[0]
    assert first[1] != second[1]


def test_what_is_left_open_is_written_at_the_end_and_exit_functions_run(superexec: SuperExec, tmp_path: Path) -> None:
    code = f"""
import atexit, builtins, threading, time, weakref
builtins.left = open("{tmp_path}/left", "w")
builtins.left.write("written")
atexit.register(lambda: open("{tmp_path}/exit", "w").write("called"))
threading.Thread(target=lambda: (time.sleep(0.2), open("{tmp_path}/thread", "w").write("waited for"))).start()
"""
    pid = superexec.start(code)
    until(lambda: not processes.alive(pid))
    found = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert found == {"left": "written", "exit": "called", "thread": "waited for"}


def test_nothing_of_a_message_is_there_for_the_next(superexec: SuperExec, tmp_path: Path) -> None:
    """A module of its own, a .pth file, a changed library, a thread and a daemon that it leaves."""
    code = f"""
import builtins, json, os, sys, threading, time, types
sys.modules["left_over"] = types.ModuleType("left_over")
json.left_over = builtins.left_over = True
os.environ["LEFT_OVER"] = "1"
open("{tmp_path}/left_over.pth", "w").write("import builtins; builtins.left_over = True")
sys.path.insert(0, "{tmp_path}")
threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
if os.fork() == 0:
    os.setsid()
    time.sleep(600)
said = os.getpid()
"""
    superexec.run(code)
    look = """
import builtins, json, os, sys, threading
said = ["left_over" in sys.modules, hasattr(json, "left_over"), hasattr(builtins, "left_over"),
        "LEFT_OVER" in os.environ, any("left" in e for e in sys.path), threading.active_count()]
"""
    assert superexec.run(look) == [False, False, False, False, False, 1]
    assert superexec.said() == Execution("Warm", "Flower is loaded")


def test_no_token_of_another_message_is_in_memory_or_on_a_command_line(superexec: SuperExec) -> None:
    superexec.run("said = 0", "--token", "first" + "f" * 40)
    look = """
import os, re, sys
found = set()
for line in open("/proc/self/maps"):
    span, rights, *_ = line.split()
    if rights.startswith("rw") and "[v" not in line:
        begin, end = (int(one, 16) for one in span.split("-"))
        with open("/proc/self/mem", "rb") as memory:
            memory.seek(begin)
            found |= set(re.findall(rb"(?:firs" b"t|secon" b"d)[fs]{40}", memory.read(end - begin)))
said = [sorted(one.decode() for one in found), open("/proc/self/cmdline").read()]
"""
    tokens, shown = superexec.run(look, "--token", "second" + "s" * 40)
    assert tokens == ["second" + "s" * 40]
    assert "ssss" not in shown


WITHOUT_RIGHTS = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
if os.getuid() == 0:  # a user of a program is not; root may do all
    libc.prctl(24, 19, 0, 0, 0)  # from the next program on: no CAP_SYS_PTRACE
    if sys.argv[1:2] != ["again"]:
        os.execv(sys.executable, [sys.executable, __file__, "again", *sys.argv[1:]])
server, answer = sys.argv[-2:]
try:
    open(f"/proc/{server}/mem", "rb")
    looked = "looked"
except OSError:
    looked = "kept out"
with open(answer, "w") as file:
    file.write(f"{libc.ptrace(16, int(server), 0, 0)} {looked}")
"""


def test_an_app_cannot_look_into_the_server_and_its_signals_do_nothing(superexec: SuperExec, tmp_path: Path) -> None:
    [server] = superexec.servers()
    (tmp_path / "look.py").write_text(WITHOUT_RIGHTS, encoding="utf-8")
    code = f"""
import os, signal, subprocess, sys
subprocess.run([sys.executable, "{tmp_path}/look.py", "{server}", "{tmp_path}/answer"], check=True)
faults = {{signal.SIGILL, signal.SIGTRAP, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGSEGV, signal.SIGSYS}}
for number in signal.valid_signals() - faults - {{signal.SIGKILL, signal.SIGSTOP}}:
    os.kill({server}, number)
said = sorted(int(name) for name in os.listdir("/proc/self/fd"))
"""
    assert superexec.run(code) == [0, 1, 2, 3]  # the last is that of the look itself
    assert (tmp_path / "answer").read_text(encoding="utf-8") == "-1 kept out"
    assert superexec.run("said = 1") == 1
    assert superexec.said() == Execution("Warm", "Flower is loaded")


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGSTOP])
def test_without_its_server_a_superexec_starts_processes_as_flower_does(
    start: Callable[..., SuperExec], sent: signal.Signals
) -> None:
    one = start(TEST_ANSWER_SECONDS="0.5")
    one.until_warm()
    [server] = one.servers()
    os.kill(server, sent)
    assert one.run("import os; said = os.getppid()") == one.process.pid
    said = one.said()
    assert said is not None
    assert said.mode == "Isolated"
    assert not processes.alive(server)


PACKAGES = {
    "calm/__init__.py": "import os\nos.environ['CALM'] = 'imported'\nimported = os.getpid()",
    "calm/deep.py": "import multiprocessing",  # which gives the main module another name
    "threaded.py": "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()",
    "opened.py": "import os\nheld = os.open('/dev/zero', 0), os.open('/proc/version', 0)",
    "parent.py": "import subprocess\nchild = subprocess.Popen(['sleep', '600'])",
    "leaves.py": "import os\nos._exit(3)",
    "broken.py": "1 / 0",
}


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the Python of an environment that has packages of ours."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    [packages] = folder.glob("lib/python*/site-packages")
    for name, text in PACKAGES.items():
        (packages / name).parent.mkdir(exist_ok=True)
        (packages / name).write_text(text, encoding="utf-8")
    return str(folder / "bin" / "python")


def known(folder: Path, *names: str) -> str:
    """Return a file that says which modules an app needs."""
    file = folder / "libraries"
    file.write_text(json.dumps(names), encoding="utf-8")
    return str(file)


def test_libraries_are_imported_once_and_their_environment_is_there(
    start: Callable[..., SuperExec], python: str, tmp_path: Path
) -> None:
    one = start(python=python, FLOWERBED_LIBRARIES=known(tmp_path, "calm", "calm.deep", "calm.gone", "absent"))
    one.until_warm("calm")
    code = "import calm, os, sys; said = [calm.imported, os.environ.get('CALM'), 'calm.deep' in sys.modules]"
    loaded = one.servers()[-1]
    assert one.run(code) == one.run(code) == [loaded, "imported", True]


def test_the_first_process_tells_which_libraries_an_app_needs(start: Callable[..., SuperExec], python: str) -> None:
    one = start(python=python)
    one.until_warm()
    code = "import calm.deep, os; said = [calm.imported, os.getpid()]"
    imported, own = one.run(code)
    assert imported == own
    one.until_warm("calm")
    imported, own = one.run(code)
    assert imported == one.servers()[-1] != own


@pytest.mark.parametrize(
    ("package", "why"),
    [
        ("threaded", "there are 2 threads"),
        ("opened", "/proc/version is open"),
        ("parent", "there are other processes"),
        ("leaves", "importing them ended the process"),
        ("broken", "broken: ZeroDivisionError: division by zero"),
    ],
)
def test_libraries_that_are_not_safe_are_left_to_each_process(
    start: Callable[..., SuperExec], python: str, tmp_path: Path, package: str, why: str
) -> None:
    one = start(python=python, FLOWERBED_LIBRARIES=known(tmp_path, "calm", package))
    one.until_warm(why)
    assert one.run("import calm, os; said = calm.imported == os.getpid()") is True
    assert len(one.servers()) == 1


def test_a_module_of_an_app_hides_a_library_as_it_does_for_flower(
    start: Callable[..., SuperExec], python: str, tmp_path: Path
) -> None:
    app = tmp_path / "app"
    (app / "calm").mkdir(parents=True)
    (app / "calm" / "__init__.py").write_text("imported = 'of the app'", encoding="utf-8")
    (app / "json").mkdir()  # no package
    one = start(python=python, FLOWERBED_LIBRARIES=known(tmp_path, "calm", "calm.deep"))
    one.until_warm("calm")
    code = f"""
import importlib, sys
sys.path.insert(0, {str(app)!r})
said = [importlib.import_module("calm").imported, "calm.deep" in sys.modules]
"""
    assert one.run(code) == ["of the app", False]


def test_what_lies_elsewhere_is_imported_for_nobody(
    start: Callable[..., SuperExec], python: str, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w')", encoding="utf-8")
    known_file = known(tmp_path, "elsewhere", "calm")
    one = start(python=python, PYTHONPATH=str(tmp_path), FLOWERBED_LIBRARIES=known_file)
    one.until_warm("calm")
    assert not (tmp_path / "imported").exists()


def test_a_killed_superexec_takes_its_servers_along(
    start: Callable[..., SuperExec], python: str, tmp_path: Path
) -> None:
    one = start(python=python, FLOWERBED_LIBRARIES=known(tmp_path, "calm"))
    one.until_warm("calm")
    servers = one.servers()
    assert len(servers) == 2
    one.process.kill()
    until(lambda: not any(processes.alive(pid) for pid in servers))


def test_without_the_loaded_server_processes_come_from_the_first(
    start: Callable[..., SuperExec], python: str, tmp_path: Path
) -> None:
    one = start(python=python, FLOWERBED_LIBRARIES=known(tmp_path, "calm"))
    one.until_warm("calm")
    os.kill(one.servers()[-1], signal.SIGKILL)
    assert one.run("import calm, os; said = calm.imported == os.getpid()") is True
    said = one.said()
    assert said is not None
    assert said.mode == "Warm"
