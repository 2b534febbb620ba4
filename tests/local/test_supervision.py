"""A real supervisor and its guard, over a program that sleeps instead of Flower's: who finds it, and what ends it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from flowerbed import processes
from flowerbed.environments.model import IN_USE
from flowerbed.errors import UsageError
from flowerbed.local import supervision
from flowerbed.local.layout import StateFolder
from flowerbed.local.plan import Plan, PlannedComponent, PlannedUnit
from flowerbed.local.runtime import LocalRuntime
from flowerbed.local.store import Store
from flowerbed.processes import MARK
from flowerbed.runs.runtime import Event

CLIENT = """
import json, sys
print(json.dumps({"event": "started"}), flush=True)
for line in sys.stdin:
    print(json.dumps({"id": json.loads(line)["id"], "ok": True, "result": []}), flush=True)
"""
"""Answers everything as a SuperLink does that knows of no SuperNode and no run."""

HOLDER = """
import sys
from pathlib import Path
from flowerbed.local.layout import StateFolder
from flowerbed.local.plan import Plan
from flowerbed.local.runtime import LocalRuntime
runtime = LocalRuntime(StateFolder(Path(sys.argv[1])))
runtime.up(Plan.read(Path(sys.argv[2])), tied=True, watch=lambda event: None)
print("up", flush=True)
sys.stdin.read()
"""


COMMAND = "from flowerbed.cli import main; main()"


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    environment = tmp_path / "environment"
    environment.mkdir()
    (environment / IN_USE).touch()
    state = tmp_path / "app" / ".flowerbed"
    env = {"PATH": os.environ["PATH"], MARK: str(state), "LEVEL": "1"}
    sleeper = PlannedComponent("superlink", "superlink", ["/bin/sleep", "1000"], env, {}, [], ["LEVEL"])
    units = [PlannedUnit("superlink", [sleeper])]
    client = [sys.executable, "-c", CLIENT]
    return Plan("test", "1.42.0", str(environment), client, env, "taken", "replied", "lost", units)


@pytest.fixture
def runtime(tmp_path: Path, plan: Plan) -> Iterator[LocalRuntime]:
    folder = StateFolder(tmp_path / "app" / ".flowerbed")
    one = LocalRuntime(folder)
    one.up(plan, tied=False, watch=lambda _: None)
    yield one
    one.store.close()
    processes.kill_all(lambda: processes.marked(folder.root))


def changed(plan: Plan) -> Plan:
    [unit] = plan.units
    [sleeper] = unit.components
    return replace(plan, units=[replace(unit, components=[replace(sleeper, env={**sleeper.env, "LEVEL": "2"})])])


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_deleted_lock_is_taken_again(runtime: LocalRuntime) -> None:
    before = runtime.status()
    runtime.folder.lock.unlink()
    assert runtime.status() == before
    assert runtime.down()


@pytest.mark.parametrize("how", ["deleted", "moved", "replaced", "without its database", "with the app"])
def test_all_ends_when_the_folder_is_gone(runtime: LocalRuntime, plan: Plan, how: str) -> None:
    root = runtime.folder.root
    living = processes.marked(root)
    assert len(living) == 3  # the supervisor, the client and the program
    match how:
        case "deleted":
            shutil.rmtree(root)
        case "moved":
            root.rename(root.with_name("moved"))
        case "replaced":
            shutil.copytree(root, root.with_name("copy"))
            root.rename(root.with_name("moved"))
            root.with_name("copy").rename(root)
        case "without its database":
            runtime.folder.database.unlink()
        case "with the app":
            shutil.rmtree(root.parent)
            root.parent.mkdir()
    again = LocalRuntime(runtime.folder)
    seen = again.status()
    assert seen.state == "down" or "was deleted or moved while it was up" in seen.reason
    until(lambda: processes.marked(root) == [])
    assert root.exists() == (how in ("replaced", "without its database"))
    assert again.status().state == "down"

    assert again.up(plan, tied=False, watch=lambda _: None)
    assert not set(living) & set(processes.marked(root))
    again.down()
    again.store.close()


def test_who_follows_a_log_hears_that_the_folder_is_gone(runtime: LocalRuntime) -> None:
    number = runtime.store.add_run(app="an app", config={}, timeout=None, submitted_at=0.0)
    logs = {str(number): runtime.folder.run(number) / "serverapp.log", "superlink": runtime.folder.log("superlink")}
    readers = []
    for of, path in logs.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("begun\n", encoding="utf-8")
        command = [sys.executable, "-c", COMMAND, "logs", of, "--follow", "--json"]
        place = runtime.folder.root.parent
        readers.append(subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, text=True))
    for reader in readers:
        assert reader.stdout is not None
        assert json.loads(reader.stdout.readline())["text"] == "begun"
    shutil.rmtree(runtime.folder.root)
    for reader in readers:
        assert reader.stdout is not None
        [said] = [json.loads(line) for line in reader.stdout]
        assert said["message"] == "the state folder was deleted or moved, so the federation was taken down"
        assert reader.wait() == 1
        reader.stdout.close()


def test_up_and_down_end_a_supervisor_without_its_folder_themselves(
    runtime: LocalRuntime, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "SETTLED_SECONDS", 0.0)
    root = runtime.folder.root
    for end in ("down", "up"):
        living = processes.marked(root)
        shutil.rmtree(root)
        again = LocalRuntime(runtime.folder)
        if end == "down":
            assert again.down()
            assert processes.marked(root) == []
        said: list[Event] = []
        assert again.up(plan, tied=False, watch=said.append)
        assert any("was up, and somebody has deleted or moved" in event.message for event in said) == (end == "up")
        assert not set(living) & set(processes.marked(root))
        again.store.close()


def test_a_run_that_is_not_finished_is_spared_also_by_the_supervisor(runtime: LocalRuntime, plan: Plan) -> None:
    number = runtime.store.add_run(app="an app", config={}, timeout=None, submitted_at=0.0)
    before = processes.marked(runtime.folder.root)
    with pytest.raises(UsageError, match="run 1 is not finished, and superlink would restart: another environment"):
        runtime.up(changed(plan), tied=False, watch=lambda _: None)
    changed(plan).write(runtime.folder.plan)  # as an `up` leaves it that is killed right then
    with pytest.raises(UsageError, match="run 1 is not finished"):
        runtime.ask("apply")
    assert Plan.read(runtime.folder.plan) == plan
    assert processes.marked(runtime.folder.root) == before

    runtime.stop(number)
    assert runtime.run(number).reason == "it was stopped before it was submitted"
    said: list[Event] = []
    assert not runtime.up(changed(plan), tied=False, watch=said.append)
    assert [event.message for event in said if event.kind == "change"] == [
        "superlink restarts: another environment variable: LEVEL"
    ]
    assert runtime.down()


def test_who_held_it_up_and_was_killed_is_told(tmp_path: Path, plan: Plan) -> None:
    folder = StateFolder(tmp_path / "app" / ".flowerbed")
    plan.write(tmp_path / "plan.json")
    command = [sys.executable, "-c", HOLDER, str(folder.root), str(tmp_path / "plan.json")]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdin is not None
    assert holder.stdout.readline() == b"up\n"
    with Store(folder.database) as store:
        store.add_run(app="an app", config={}, timeout=None, submitted_at=0.0)
    holder.kill()
    holder.wait()
    holder.stdin.close()
    holder.stdout.close()
    until(lambda: processes.marked(folder.root) == [])
    runtime = LocalRuntime(folder)
    assert runtime.status().reason == (
        "the command that held it up (`flowerbed up` or `flowerbed run`) was killed, and run 1 ended with it;"
        " `flowerbed up` starts it again"
    )

    runtime.up(plan, tied=False, watch=lambda _: None)
    pid = runtime.status().supervisor_pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(lambda: processes.marked(folder.root) == [])
    assert runtime.status().reason == "the supervisor was killed; `flowerbed up` starts it again"
    runtime.up(plan, tied=False, watch=lambda _: None)
    runtime.down()
    assert runtime.status().reason == ""
    runtime.store.close()
