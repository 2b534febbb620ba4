"""The start of a kit, with programs that stand for Flower's: it keeps them running, and ends them with itself."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flowerbed import processes
from flowerbed.flower.releases import find
from flowerbed.sites import archive, kit
from flowerbed.sites.kit import Wanted
from flowerbed.spec.load import parse
from flowerbed.trust.keys import new_spare_keys

FILE = """\
apiVersion: flowerbed.dev/v1alpha1
kind: Federation
metadata: {name: study}
spec:
  supernodes: [{name: far, external: true, terminationGracePeriodSeconds: 120}]
  superlink: {expose: {fleetAddress: "127.0.0.1:1"}}
"""
SUPERNODE = """\
import os, socket, sys, time
host, _, port = sys.argv[sys.argv.index("--clientappio-api-address") + 1].rpartition(":")
key = sys.argv[sys.argv.index("--auth-supernode-private-key") + 1]
listening = socket.create_server((host, int(port)))
print("supernode", os.getpid(), "has a key:", os.path.getsize(key) > 100, flush=True)
time.sleep(600)
"""
SUPEREXEC = """\
import os, sys, time
print("superexec", os.getpid(), "waits for", os.environ["FLOWERBED_WAIT_FOR"] in sys.argv, flush=True)
time.sleep(600)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A kit for 1.22 that was unpacked, with programs of ours in place of Flower's."""
    now = datetime.now(UTC)
    federation = parse(FILE, "federation.yaml").federation
    own = new_spare_keys("far-0", secrets.token_bytes)
    wanted = Wanted(federation, find("1.22"), "far-0", own, (b"",))
    archive.write(tmp_path / "kit.tar", wanted.name, kit.files(wanted, now=now, random=secrets.token_bytes), now=now)
    with tarfile.open(tmp_path / "kit.tar") as tar:
        tar.extractall(tmp_path, filter="data")
    made = tmp_path / wanted.name
    for name, text in (("flower-supernode", SUPERNODE), ("flower-superexec", SUPEREXEC)):
        (made / "programs" / "bin" / name).write_text(text)
    information = tmp_path / "installed" / "flwr-1.22.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: flwr\nVersion: 1.22.0\n")
    return made


class Started:
    def __init__(self, folder: Path, *arguments: str) -> None:
        self._log = folder.parent / "start.log"
        env = {**os.environ, "PYTHONPATH": str(folder.parent / "installed")}
        with self._log.open("wb") as log:
            command = [sys.executable, str(folder / "start"), *arguments]
            self.child = subprocess.Popen(command, env=env, stdout=log, stderr=log)

    @property
    def log(self) -> list[str]:
        return self._log.read_text().splitlines()

    def said(self, start: str) -> list[str]:
        return [line for line in self.log if line.startswith(start)]

    def has_both(self, times: int = 1) -> bool:
        """Tell whether both programs have begun so often."""
        return all(len(self.said(f"{name} | {name}")) == times for name in ("supernode", "superexec"))

    def pids(self) -> list[int]:
        """Return the newest programs' processes."""
        newest = (self.said("supernode | supernode")[-1], self.said("superexec | superexec")[-1])
        return [int(line.split()[3]) for line in newest]


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[..., Started]]:
    made: list[Started] = []

    def begin(*arguments: str) -> Started:
        made.append(Started(folder, *arguments))
        return made[-1]

    yield begin
    for one in made:
        processes.send([one.child.pid, *processes.descendants(one.child.pid)], signal.SIGKILL)
        one.child.wait()


def wait(condition: Callable[[], object], log: Started) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until, log.log
        time.sleep(0.05)


def test_both_are_started_again_under_another_key_and_end_with_it(start: Callable[[], Started]) -> None:
    one = start()
    wait(one.has_both, one)
    assert one.said("supernode | ")[0].endswith("has a key: True")
    assert one.said("superexec | ")[0].endswith("waits for True")
    first = one.pids()
    os.kill(first[1], signal.SIGKILL)
    wait(lambda: one.has_both(2), one)
    assert not set(one.pids()) & set(first)
    assert not processes.alive(first[0])
    keys = [line.split("key ")[1][0] for line in one.said("[flowerbed: this SuperNode comes with")]
    assert len(set(keys)) == 2
    one.child.terminate()
    assert one.child.wait(timeout=60) == 0
    assert not any(processes.alive(pid) for pid in one.pids())


def test_a_second_one_is_refused(start: Callable[[], Started], folder: Path) -> None:
    one = start()
    wait(one.has_both, one)
    env = {**os.environ, "PYTHONPATH": str(folder.parent / "installed")}
    again = subprocess.run(
        [sys.executable, str(folder / "start")], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert (again.returncode, again.stdout) == (2, f"[flowerbed: another start runs in {folder}]\n")


def test_when_it_is_killed_the_programs_end(start: Callable[[], Started]) -> None:
    one = start()
    wait(one.has_both, one)
    pids = one.pids()
    one.child.kill()
    one.child.wait()
    wait(lambda: not any(processes.alive(pid) for pid in pids), one)


@pytest.mark.parametrize(("words", "seconds"), [([], 90), (["--finish", "3600"], 3600)])
def test_a_supernode_at_work_is_left_time_to_reply(
    start: Callable[..., Started], folder: Path, words: list[str], seconds: int
) -> None:
    works = SUPERNODE.replace("time.sleep(600)", "print('INFO : Received: train message', flush=True); time.sleep(600)")
    (folder / "programs" / "bin" / "flower-supernode").write_text(works)
    one = start(*words)
    wait(lambda: one.has_both() and one.said("supernode | INFO"), one)
    one.child.terminate()
    wait(lambda: f"[flowerbed: asked to end; what it works on has {seconds} s to get to the ServerApp]" in one.log, one)
    assert all(processes.alive(pid) for pid in one.pids())
    one.child.terminate()
    assert one.child.wait(timeout=60) == 0
    assert not any(processes.alive(pid) for pid in one.pids())


def test_one_at_work_ends_at_once_if_it_is_given_no_time(start: Callable[..., Started], folder: Path) -> None:
    works = SUPERNODE.replace("time.sleep(600)", "print('INFO : Received: train message', flush=True); time.sleep(600)")
    (folder / "programs" / "bin" / "flower-supernode").write_text(works)
    one = start("--finish", "0")
    wait(lambda: one.has_both() and one.said("supernode | INFO"), one)
    one.child.terminate()
    assert one.child.wait(timeout=60) == 0
    assert not one.said("[flowerbed: asked to end; what it works on")


@pytest.mark.parametrize(
    "words", [["--finish", "soon"], ["--finish", "-1"], ["--finish", "inf"], ["--fin", "3"], ["x"]]
)
def test_what_it_does_not_know_is_refused(start: Callable[..., Started], words: list[str]) -> None:
    one = start(*words)
    assert one.child.wait(timeout=60) == 2
    assert one.log[0].startswith("usage: start [-h] [--finish SECONDS]")
    assert words[-1] in one.log[-1]


def test_what_it_writes_is_for_its_user_only(start: Callable[[], Started], folder: Path) -> None:
    one = start()
    wait(one.has_both, one)
    assert (folder / "work").stat().st_mode & 0o077 == 0
    assert (folder / "work" / "node" / "key").stat().st_mode & 0o077 == 0
    assert json.loads((folder / "site.json").read_text())["dials"] == "127.0.0.1:1"
