"""The init of a unit, with real processes: they end together, nothing is lost, readiness and the wedge are seen."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from by_hand import HOST, PATIENCE, eventually
from units import UNIT, RunningUnit

from flowerbed import processes
from free_ports import free_port

PYTHON = (sys.executable, "-u", "-c")

WAITS = "import time; print('here', flush=True); time.sleep(1000)"
SAYS_GOODBYE = """
import signal, sys, time
def goodbye(*_):
    print("goodbye", flush=True)
    sys.exit(9)
signal.signal(signal.SIGTERM, goodbye)
print("here", flush=True)
time.sleep(1000)
"""
IGNORES = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("here", flush=True)
time.sleep(1000)
"""


def program(name: str, code: str, *arguments: str) -> list[str]:
    return ["--", name, *PYTHON, code, *arguments]


def pair(first: str, second: str) -> list[str]:
    return [*program("supernode", first), *program("superexec", second)]


# The end of one is the end of all.


@pytest.mark.parametrize("victim", ["supernode", "superexec"])
def test_a_killed_program_ends_the_other(victim: str) -> None:
    with RunningUnit(pair(WAITS + " # supernode", SAYS_GOODBYE + "# superexec")) as unit:
        eventually(lambda: unit.text.count("here") == 2)
        os.kill(unit.find(lambda command: command.endswith(victim)), signal.SIGKILL)
        assert unit.ends() == 128 + signal.SIGKILL
        other = {"supernode": "superexec", "superexec": "supernode"}[victim]
        assert f"[flowerbed: {victim} was killed by SIGKILL; {other} is ended too]" in unit.lines
        assert ("superexec | goodbye" in unit.lines) == (victim == "supernode")  # it was asked first
        assert unit.tree() == []


@pytest.mark.parametrize(("status", "expected"), [(3, 3), (0, 1)])
def test_a_program_that_ends_by_itself_is_a_failure(status: int, expected: int) -> None:
    with RunningUnit(pair(f"raise SystemExit({status})", WAITS)) as unit:
        assert unit.ends() == expected
        assert f"[flowerbed: supernode ended with status {status}; superexec is ended too]" in unit.lines


@pytest.mark.parametrize("programs", [1, 2])
def test_control_sequences_do_not_reach_the_log_of_a_pod(programs: int) -> None:
    code = r"print('\x1b]0;mine\x07\x1b[92mINFO\x1b[0m: a \x1b[2Jb é'); print('1%\r2%\r3%'); print('here')"
    words = [*program("supernode", code), *(program("superexec", WAITS) if programs == 2 else [])]
    with RunningUnit(words) as unit:
        unit.ends()
        prefix = "supernode | " if programs == 2 else ""
        assert [line for line in unit.lines if line.startswith(f"{prefix}INFO")] == [f"{prefix}INFO: a b é"]
        assert f"{prefix}3%" in unit.lines
        assert "\x1b" not in unit.text


def test_a_program_that_is_not_there() -> None:
    with RunningUnit([*program("supernode", SAYS_GOODBYE), "--", "superexec", "/no/such/program"]) as unit:
        assert unit.ends() == 127
        assert "[flowerbed: superexec cannot be started: /no/such/program: No such file or directory]" in unit.lines


def test_sigterm_ends_all_gently() -> None:
    with RunningUnit(pair(SAYS_GOODBYE, SAYS_GOODBYE)) as unit:
        eventually(lambda: unit.text.count("here") == 2)
        assert unit.terminate() == 0
        assert {"supernode | goodbye", "superexec | goodbye"} <= set(unit.lines)


def test_what_does_not_heed_it_is_killed() -> None:
    with RunningUnit(["--grace", "1", *pair(IGNORES, SAYS_GOODBYE)]) as unit:
        eventually(lambda: unit.text.count("here") == 2)
        assert unit.terminate() == 0
        assert "superexec | goodbye" in unit.lines
        assert unit.tree() == []


def test_grandchildren_in_sessions_of_their_own_are_ended_too() -> None:
    orphan = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {IGNORES!r}], start_new_session=True, stdout=subprocess.DEVNULL)
print("child", child.pid, "here", flush=True)
time.sleep(1000)
"""
    with RunningUnit(["--grace", "1", *pair(orphan, WAITS)]) as unit:
        eventually(lambda: unit.text.count("here") == 2)
        found = re.search(r"child (\d+)", unit.text)
        assert found is not None
        os.kill(unit.find(lambda command: "print('here'" in command), signal.SIGKILL)
        unit.ends()
        assert not processes.alive(int(found[1]))


APP = """\
#!{python}
import signal, sys, time
def tell(*_):
    time.sleep(0.5)  # newer releases push what is left of the log and the task's end
    print("app told", flush=True)
    sys.exit()
signal.signal(signal.SIGTERM, tell)
print("app here", flush=True)
time.sleep(1000)
"""
SUPEREXEC = """
import signal, subprocess, sys, time
def goodbye(*_):
    print("goodbye", flush=True)
    sys.exit()
signal.signal(signal.SIGTERM, goodbye)
while True:
    subprocess.Popen([sys.argv[1]]).wait()
"""


def test_an_app_process_can_tell_of_its_end_before_its_superexec_and_its_supernode_go(tmp_path: Path) -> None:
    app = tmp_path / "flwr-serverapp"
    app.write_text(APP.format(python=sys.executable))
    app.chmod(0o755)
    with RunningUnit([*program("supernode", SAYS_GOODBYE), *program("superexec", SUPEREXEC, str(app))]) as unit:
        unit.says("app here")
        unit.says("supernode | here")
        assert unit.terminate() == 0
        assert unit.text.count("app here") == 1  # no next one was started
        order = [line for line in unit.lines if line.endswith(("told", "goodbye"))]
        assert order[0] == "superexec | app told"
        assert sorted(order[1:]) == ["superexec | goodbye", "supernode | goodbye"]


def test_an_app_process_that_lost_its_superexec_can_tell_it_to_the_supernode(tmp_path: Path) -> None:
    app = tmp_path / "flwr-clientapp"
    app.write_text(APP.format(python=sys.executable))
    app.chmod(0o755)
    with RunningUnit([*program("supernode", SAYS_GOODBYE), *program("superexec", SUPEREXEC, str(app))]) as unit:
        unit.says("app here")
        unit.says("supernode | here")
        os.kill(unit.find(lambda command: "Popen" in command), signal.SIGKILL)
        assert unit.ends() == 128 + signal.SIGKILL
        assert unit.lines[-2:] == ["superexec | app told", "supernode | goodbye"]


# Orphans.

ORPHANS = """
import os, subprocess, time
from pathlib import Path
for _ in range(20):
    subprocess.run(["sh", "-c", "sleep 0.2 &"], check=True)
def state(pid):
    try:
        stat = Path("/proc", pid, "stat").read_text()
    except OSError:
        return ""
    return stat[stat.rindex(")") + 2] if "(sleep)" in stat else ""
def orphans():
    return [state(pid) for pid in os.listdir("/proc") if pid.isdigit()]
until = time.monotonic() + 60
while any(state != "" for state in orphans()) and time.monotonic() < until:
    time.sleep(0.05)
print("left", sum(state == "Z" for state in orphans()), flush=True)
time.sleep(1000)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a PID namespace")
def test_as_process_1_it_reaps_orphans_and_heeds_sigterm() -> None:
    namespace = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    with RunningUnit(program("only", ORPHANS), before=[*namespace, sys.executable, "-u", *UNIT]) as unit:
        unit.says("left ")
        assert unit.lines == ["left 0"]
        [init] = processes.children_by_parent()[unit.process.pid]
        os.kill(init, signal.SIGTERM)
        assert unit.ends() == 0


# What they say.

HALVES = """
import os, sys, time
for number in range(2000):
    os.write(1, f"{sys.argv[1]} {number} ".encode())
    os.write(2, b"x" * 40 + b"\\n")
"""


def test_lines_are_whole_prefixed_and_in_order() -> None:
    words = [*program("one", HALVES + "time.sleep(1)", "one"), *program("two", HALVES + "time.sleep(1)", "two")]
    with RunningUnit(words) as unit:
        unit.ends()
        for name in ("one", "two"):
            said = [line for line in unit.lines if line.startswith(f"{name} | ")]
            assert said == [f"{name} | {name} {number} {'x' * 40}" for number in range(2000)]
        rest = [line for line in unit.lines if not line.startswith(("one | ", "two | "))]
        assert all(line.startswith("[flowerbed: ") for line in rest)


def test_one_program_alone_has_no_prefix() -> None:
    with RunningUnit(program("only", "import sys; print('out'); print('err', file=sys.stderr)")) as unit:
        unit.ends()
        assert {"out", "err"} <= set(unit.lines)


def test_long_lines_stay_whole_and_a_last_one_without_an_end_is_kept() -> None:
    long = "import os; os.write(1, b'y' * 300_000 + b'\\n'); os.write(1, b'no end')"
    with RunningUnit(pair(long, WAITS)) as unit:
        unit.ends()
        assert "supernode | " + "y" * 300_000 in unit.lines
        assert "supernode | no end" in unit.lines


def test_bytes_that_are_no_text_pass() -> None:
    with RunningUnit(pair("import os; os.write(1, b'\\xff\\xfe\\n')", WAITS)) as unit:
        unit.ends()
        assert "supernode | ��" in unit.lines


def test_nobody_reads_and_yet_it_ends_when_asked() -> None:
    floods = "import os\nos.write(2, b'here\\n')\nwhile True: os.write(1, b'z' * 1000 + b'\\n')"
    with RunningUnit(["--grace", "1", *pair(floods, floods)], read=False) as unit:
        eventually(unit.ready)
        assert unit.probe("/live")[0] == 200
        unit.process.terminate()
        assert unit.process.wait(PATIENCE) == 0


def test_programs_outlive_their_reader() -> None:
    talks = "import time\nfor n in range(100): print(n, flush=True); time.sleep(0.01)\nraise SystemExit(5)"
    with RunningUnit(pair(talks, WAITS), read=False) as unit:
        unit.pipe.close()
        assert unit.process.wait(PATIENCE) == 5


# What they get.


def test_the_partition_is_the_pods_ordinal_and_the_pools_first() -> None:
    words = ["--first-partition", "10", "--hostname", "fed-hospital-7.fed.svc"]
    config = "partition-id={partition-id} num-partitions=20"
    with RunningUnit([*words, *program("only", "import sys; print(sys.argv[1])", config)]) as unit:
        unit.ends()
        assert unit.lines[0] == "partition-id=17 num-partitions=20"


def test_what_a_program_waits_for_is_its_own() -> None:
    prints = "import os; print(os.environ.get('FLOWERBED_WAIT_FOR')); import time; time.sleep(1000)"
    words = ["--wait-for", "superexec=a:1", "--wait-for", "superexec=[::1]:2", *pair(prints, prints)]
    with RunningUnit(words) as unit:
        unit.says("superexec | ")
        unit.says("supernode | ")
        assert {"supernode | None", "superexec | a:1,[::1]:2"} <= set(unit.lines)


def test_folders_are_made_before_anything_starts(tmp_path: Path) -> None:
    folder = tmp_path / "1.42" / "more"
    looks = f"import os; print(os.path.isdir({str(folder)!r}))"
    with RunningUnit(["--make-folder", str(folder), *program("only", looks)]) as unit:
        unit.ends()
        assert unit.lines[0] == "True"
    (tmp_path / "file").write_text("")
    with RunningUnit(["--make-folder", str(tmp_path / "file" / "x"), *program("only", looks)]) as unit:
        assert unit.ends() == 1
        assert "cannot be made: Not a directory" in unit.text


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "there is no program"),
        (["--", "name"], "a name and a command line, not 'name'"),
        (["--", "a", "true", "--"], "a name and a command line, not 'nothing'"),
        (["--", "a", "true", "--", "a", "true"], "two programs have the same name"),
        (["--wait-for", "b=h:1", "--", "a", "true"], "there is no program b; there is a"),
        (["--wait-for", "a=h", "--", "a", "true"], "'a=h' is not NAME=HOST:PORT"),
        (["--ready-request", "smtp:1", "--", "a", "true"], "'smtp:1' is not DIALECT:PORT"),
        (["--ready-listening", "70000", "--", "a", "true"], "'70000' is no port"),
        (["--taken", "x", "--", "a", "true"], "--taken, --replied and --lost go together"),
        (["--finish", "9", "--", "a", "true"], "--finish needs --taken, --replied and --lost"),
        (["--taken", "(", "--replied", "b", "--lost", "c", "--", "a", "true"], "is no regular expression"),
        (["--first-partition", "1", "--hostname", "laptop", "--", "a", "true"], "'laptop', does not end with a number"),
        (["--", "a", "{partition-id}"], "{partition-id} needs --first-partition"),
        (["--health", "1", "--", "a", "true"], "unrecognized arguments: --health"),
    ],
)
def test_options_that_make_no_sense(words: list[str], why: str) -> None:
    command = [sys.executable, *UNIT, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 2
    assert why in done.stderr


# Readiness.


@contextmanager
def listener() -> Iterator[socket.socket]:
    with socket.create_server((HOST, 0)) as server:
        yield server


CONNECTS = """
import socket, subprocess, sys, time
from pathlib import Path
port, go, stay = int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
while not go.exists():
    time.sleep(0.02)
connection = socket.create_connection(("127.0.0.1", port))
while stay.exists():
    time.sleep(0.02)
connection.close()
print("closed", flush=True)
time.sleep(1000)
"""
BELOW = f"""
import subprocess, sys
subprocess.run([sys.executable, "-u", "-c", {CONNECTS!r}, *sys.argv[1:]])
"""


@pytest.mark.parametrize("code", [CONNECTS, BELOW], ids=["itself", "a process below it"])
def test_ready_is_who_has_held_its_connection(tmp_path: Path, code: str) -> None:
    go, stay = tmp_path / "go", tmp_path / "stay"
    stay.touch()
    with listener() as server:
        port = server.getsockname()[1]
        ready = ["--ready-connected", f"one=superlink:{port}"]
        words = [*ready, *program("one", code, str(port), str(go), str(stay)), *program("two", WAITS)]
        with RunningUnit(words) as unit, socket.create_connection((HOST, port)):  # which is another's
            eventually(lambda: "two | here" in unit.lines)
            eventually(lambda: unit.probe("/ready") == (503, f"one is not connected to superlink:{port} yet"))
            go.touch()
            eventually(unit.ready)
            stay.unlink()  # releases that speak HTTP hang up between two requests
            unit.says("closed")
            assert unit.probe("/ready") == (200, "ready")


def test_ready_is_who_listens(tmp_path: Path) -> None:
    port, go = free_port(), tmp_path / "go"
    listens = f"""
import socket, time
from pathlib import Path
print("here", flush=True)
while not Path({str(go)!r}).exists(): time.sleep(0.02)
server = socket.create_server(("127.0.0.1", {port}))
time.sleep(1000)
"""
    with RunningUnit(["--ready-listening", str(port), *program("only", listens)]) as unit:
        unit.says("here")
        assert unit.probe("/ready") == (503, f"nothing listens on port {port} yet")
        go.touch()
        eventually(unit.ready)


def test_who_waits_for_readiness_is_told_at_once(tmp_path: Path) -> None:
    go, port = tmp_path / "go", free_port()
    listens = f"""
import socket, time
from pathlib import Path
print("here", flush=True)
while not Path({str(go)!r}).exists(): time.sleep(0.02)
server = socket.create_server(("127.0.0.1", {port}))
time.sleep(1000)
"""
    with RunningUnit(["--ready-listening", str(port), *program("only", listens)]) as unit:
        unit.says("here")
        assert unit.probe("/ready?wait=0.2") == (503, f"nothing listens on port {port} yet")
        asking = threading.Timer(0.2, go.touch)
        asking.start()
        assert unit.probe("/ready?wait=50") == (200, "ready")


def test_who_does_not_get_ready_is_started_again() -> None:
    port = free_port()
    words = ["--ready-within", "0.5", "--ready-listening", str(port), *program("only", WAITS)]
    with RunningUnit(words) as unit:
        assert unit.ends() == 69
        assert (
            f"nothing listens on port {port} yet, and its time to get ready is over; the unit is restarted" in unit.text
        )


def test_who_got_ready_has_all_the_time_there_is() -> None:
    later = program("only", "import time; time.sleep(1.5); raise SystemExit(5)")
    with listener() as there:
        port = there.getsockname()[1]
        with RunningUnit(["--ready-within", "1", "--ready-listening", str(port), *later]) as unit:
            assert unit.ends() == 5


def test_ready_is_who_has_answered_over_http() -> None:
    with listener() as server:
        port = server.getsockname()[1]
        with RunningUnit(["--ready-request", f"http:{port}", *program("superlink", WAITS)]) as unit:
            connection, _ = server.accept()
            with connection:
                assert connection.recv(1000).startswith(b"GET / HTTP/1.1\r\n")
                assert unit.probe("/ready") == (503, f"the SuperLink has not answered a request at port {port} yet")
            connection, _ = server.accept()  # it was hung up on, and asks again
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 404 Not Found\r\n\r\n")
                eventually(unit.ready)


def test_a_unit_that_ends_is_not_ready_any_more() -> None:
    with RunningUnit(["--grace", "20", *program("only", IGNORES)]) as unit:
        unit.says("here")
        eventually(unit.ready)
        unit.process.terminate()
        unit.says("asked to end")
        assert unit.probe("/ready") == (503, "the unit is ending")
        os.kill(unit.find(lambda command: "SIG_IGN" in command), signal.SIGKILL)
        assert unit.ends() == 0


def test_probes_do_not_keep_each_other() -> None:
    with RunningUnit(program("only", WAITS)) as unit:
        eventually(unit.ready)
        with socket.create_connection((HOST, unit.port)), socket.create_connection((HOST, unit.port)) as garbage:
            garbage.sendall(b"\0\n\n")
            assert unit.probe("/live")[0] == 200
            assert unit.probe("/ready?verbose") == (200, "ready")
            assert unit.probe("/")[0] == 404


@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="this machine has no IPv6")
def test_probes_are_answered_over_ipv6_too() -> None:
    with RunningUnit(program("only", WAITS)) as unit:
        eventually(unit.ready)
        with socket.create_connection(("::1", unit.port), timeout=10) as wire:
            wire.sendall(b"GET /ready HTTP/1.1\r\nHost: x\r\n\r\n")
            assert wire.recv(100).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_taken_health_port_is_said() -> None:
    with RunningUnit(program("only", WAITS)) as unit:
        eventually(unit.ready)
        done = subprocess.run(
            [sys.executable, *UNIT, "--health-port", str(unit.port), "--", "only", "true"],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 1
        assert f"port {unit.port}, for the probes, cannot be opened: Address already in use" in done.stdout


def test_it_is_small() -> None:
    marks = ["--taken", "x", "--replied", "y", "--lost", "z"]
    with RunningUnit([*marks, *pair(WAITS, WAITS)]) as unit:
        eventually(unit.ready)
        eventually(lambda: unit.text.count("here") == 2)
        unit.probe("/live")
        status = Path(f"/proc/{unit.process.pid}/status").read_text()
        resident = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert resident is not None
        assert int(resident[1]) < 24 * 1024  # measured: 18 MB, of which 7 are shared


# The wedge.

SOONER = """
from flowerbed_inside.unit import main, wedge
wedge.WEDGED_AFTER_SECONDS = 1.0
main.main()
"""
"""The unit with less patience than the 20 s that it has for a SuperNode without a worker."""

MARKS = (
    "--taken",
    r"Received: \S+ message",
    "--replied",
    "Sent successfully|Failed to send",
    "--lost",
    "Failed to send",
)

SUPERNODE = """
import sys, time
print("INFO : Received: train message", flush=True)
time.sleep(1000)
"""
WORKS = """
import subprocess, sys
subprocess.Popen([sys.argv[1]]).wait()
import time; print("worker gone", flush=True); time.sleep(1000)
"""


def test_a_supernode_whose_worker_was_killed_ends_its_unit(tmp_path: Path) -> None:
    worker = tmp_path / "flwr-clientapp"
    worker.write_text(f"#!{sys.executable}\nimport time; print('at work', flush=True); time.sleep(1000)\n")
    worker.chmod(0o755)
    words = [*MARKS, *program("supernode", SUPERNODE), *program("superexec", WORKS, str(worker))]
    with RunningUnit(words, before=(*PYTHON, SOONER)) as unit:
        unit.says("at work")
        unit.says("Received")
        still_there = threading.Event()
        assert not still_there.wait(3)  # longer than it waits for a worker
        assert unit.process.poll() is None
        os.kill(unit.find(lambda command: command == f"{sys.executable} {worker}"), signal.SIGKILL)
        assert unit.ends() == 70
        why = "this SuperNode waits for the reply of a ClientApp that is gone; its unit is restarted"
        assert f"supernode | [flowerbed: {why}]" in unit.lines


def test_a_lost_reply_ends_its_unit() -> None:
    lost = "import time; print('Received: train message\\nFailed to send message', flush=True); time.sleep(1000)"
    with RunningUnit([*MARKS, *pair(lost, WAITS)]) as unit:
        assert unit.ends() == 70
        assert "could not send a reply" in unit.text


REPLIES = """
import signal, sys, time
from pathlib import Path
def goodbye(*_):
    print("goodbye", flush=True)
    sys.exit()
signal.signal(signal.SIGTERM, goodbye)
print("Received: train message", flush=True)
while not Path(sys.argv[1]).exists():
    time.sleep(0.02)
print("Sent successfully", flush=True)
time.sleep(1000)
"""


def at_work(go: Path, finish: int, *options: str) -> list[str]:
    return [
        *MARKS,
        "--finish",
        str(finish),
        *options,
        *program("supernode", REPLIES, str(go)),
        *program("superexec", WAITS),
    ]


def with_constants(**seconds: float) -> tuple[str, ...]:
    """Return what starts a unit with other times than its own."""
    given = "\n".join(
        ["from flowerbed_inside.unit import finishing", *(f"finishing.{name} = {seconds[name]}" for name in seconds)]
    )
    return (*PYTHON, SOONER.replace("wedge.WEDGED_AFTER_SECONDS = 1.0", given))


def asked_to_end(unit: RunningUnit) -> None:
    """Ask a unit whose SuperNode works on a message, and see that it goes on."""
    unit.says("Received")
    unit.process.terminate()
    unit.says("[flowerbed: asked to end; what it works on has ")
    assert not threading.Event().wait(1)
    assert "goodbye" not in unit.text


def test_a_supernode_that_is_asked_to_end_replies_first_and_stays_for_the_reply_to_be_fetched(tmp_path: Path) -> None:
    go = tmp_path / "go"
    with RunningUnit(at_work(go, 60), before=with_constants(FETCHED_SECONDS=3.0)) as unit:
        asked_to_end(unit)
        go.touch()
        unit.says("Sent successfully")
        assert not threading.Event().wait(1)
        assert unit.process.poll() is None
        assert unit.ends() == 0
        assert "[flowerbed: its last reply was fetched; it ends]" in unit.lines
        assert "supernode | goodbye" in unit.lines


def test_asked_again_it_ends_at_once(tmp_path: Path) -> None:
    with RunningUnit(at_work(tmp_path / "go", 60)) as unit:
        asked_to_end(unit)
        assert unit.terminate() == 0
        assert "supernode | goodbye" in unit.lines
        assert "Sent" not in unit.text


def test_its_time_to_reply_ends(tmp_path: Path) -> None:
    with RunningUnit(at_work(tmp_path / "go", 3)) as unit:
        asked_to_end(unit)
        assert unit.ends() == 0
        assert "[flowerbed: its time to reply is over; it ends]" in unit.lines
        assert "supernode | goodbye" in unit.lines


def test_a_supernode_without_work_ends_at_once() -> None:
    with RunningUnit([*MARKS, "--finish", "60", *pair(SAYS_GOODBYE, WAITS)]) as unit:
        eventually(lambda: unit.text.count("here") == 2)
        assert unit.terminate() == 0
        assert "[flowerbed: asked to end]" in unit.lines


@pytest.mark.parametrize("busy", [True, False])
def test_nobody_fetches_a_reply_when_the_superlink_has_gone_too(tmp_path: Path, *, busy: bool) -> None:
    go, name = tmp_path / "go", "GONE_SECONDS" if busy else "GONE_WITH_REPLY_SECONDS"
    with listener() as superlink:
        port = superlink.getsockname()[1]
        words = at_work(go, 60, "--wait-for", f"supernode={HOST}:{port}")
        with RunningUnit(words, before=with_constants(FETCHED_SECONDS=1000.0, **{name: 3.0})) as unit:
            asked_to_end(unit)
            if not busy:
                go.touch()
                unit.says("Sent successfully")
            assert not threading.Event().wait(4)  # longer than it waits for one that does not answer
            assert unit.process.poll() is None
            superlink.close()
            assert unit.ends() == 0
            assert f"[flowerbed: nobody answers at {HOST}:{port} any more; it ends]" in unit.lines


def test_marks_in_what_an_app_says_are_none() -> None:
    says = "import time; print('Failed to send message', flush=True); time.sleep(1000)"
    with RunningUnit([*MARKS, *pair(WAITS, says)]) as unit:
        unit.says("Failed to send")
        assert not threading.Event().wait(2.5)  # it looks every second
        assert unit.process.poll() is None
