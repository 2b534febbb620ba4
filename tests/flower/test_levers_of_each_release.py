"""What the levers use of a release is there: the sleeps that they shorten, and the paths of calls that they know."""

from __future__ import annotations

import ast
import json
import re
import subprocess
from pathlib import Path

import pytest
from by_hand import PATIENCE, environment
from proxied import methods

from environments import environment_python
from flowerbed.flower.releases import Row
from flowerbed_inside.levers import backoff, calls, following, logs, pace
from flowerbed_inside.levers.calls import FLEET, GRID, TASK, Call, Poll, Push

pytestmark = pytest.mark.timeout(600)  # the first run on a machine installs Flower

ALIKE = re.compile(
    r"(/flwr\.proto\.(ServerAppIo|ClientAppIo|Runtime|Fleet)|/v1/(runtime|fleet))/"
    r"(Pull(PendingTasks|Messages)|ListAppsToLaunch|AcquireTask|Push(Messages?|Object|TaskOutput|\w*AppOutputs)|CreateTask"
    r"|StartAutomation|pull-(pending-tasks|messages)|acquire-task|push-(messages|object|task-output)|create-task"
    r"|start-automation)|/flwr\.proto\.Control/StartRun|/v1/control/start-run"
)
"""What the paths of such calls look like."""

EVERY: dict[str, Call] = {**calls.GRPC, **calls.HTTP}


@pytest.fixture(scope="module")
def python(row: Row) -> Path:
    return environment_python(str(row.release))


@pytest.fixture(scope="module")
def package(python: Path) -> Path:
    (found,) = (python.parents[1] / "lib").glob("python*/site-packages/flwr")
    return found


@pytest.fixture(scope="module")
def paths(python: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return methods(python, tmp_path_factory.mktemp("home"))


def sleeps(package: Path, *modules: str) -> list[tuple[str, str]]:
    """Return the functions of the first of some modules that is there in which it sleeps, and for how long."""
    files = [package.parent / f"{module.replace('.', '/')}.py" for module in modules]
    tree = ast.parse(next(file for file in files if file.exists()).read_text(encoding="utf-8"))
    found = {
        (function.name, ast.unparse(call.args[0]))
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "time.sleep"
    }
    return sorted(found)


def test_clients_sleep_between_two_polls_and_nowhere_else(row: Row, package: Path) -> None:
    assert sleeps(package, *pace.GRIDS) == [("send_and_receive", "3")]
    waits = [("_push_messages", "0.5"), ("yield_object_contents", "0.5")]  # the one function is inside the other
    assert sleeps(package, pace.SUPERNODE) == sorted([*waits, ("start_client_internal", "3")])
    seconds = "1" if row.minor.minor < 36 else "task_poll_interval"
    assert sleeps(package, pace.SUPEREXEC) == [("run_superexec", seconds)]


def test_a_log_is_uploaded_and_waited_for_with_sleeps(row: Row, package: Path) -> None:
    waits = [("flush_logs", "min(1, remaining)"), ("flush_logs", "min(LOG_UPLOAD_INTERVAL, remaining)")]
    uploads = [("_log_uploader", "LOG_UPLOAD_INTERVAL")]
    assert sleeps(package, *logs.MODULES) == uploads + (waits if row.minor.minor >= 30 else [])


def test_a_log_is_streamed_with_sleeps(row: Row, package: Path) -> None:
    logs, events = ("StreamLogs", "StreamRunEvents") if row.minor.minor < 33 else ("_stream_logs", "_stream_run_events")
    found = dict(sleeps(package, *following.HANDLERS))
    assert found.pop(logs) == "LOG_STREAM_INTERVAL"
    assert found in ({}, {events: "RUN_EVENTS_STREAM_INTERVAL"})


def test_the_back_off_is_an_option_with_a_default(python: Path, package: Path, tmp_path: Path) -> None:
    files = [package.parent / f"{module.replace('.', '/')}.py" for module in backoff.MODULES]
    tree = ast.parse(next(file for file in files if file.exists()).read_text(encoding="utf-8"))
    with_default = {
        function.name
        for function in tree.body
        if isinstance(function, ast.FunctionDef)
        for option, default in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
        if option.arg == backoff.OPTION and default is not None
    }
    assert with_default == set(backoff.FUNCTIONS)


def test_every_poll_and_every_push_of_the_release_is_known(paths: list[str]) -> None:
    assert {path for path in paths if ALIKE.fullmatch(path)} == EVERY.keys() & set(paths)


def test_each_topic_is_asked_for_and_brought(paths: list[str]) -> None:
    known = [EVERY[path] for path in paths if path in EVERY]
    assert {call.kind for call in known if isinstance(call, Poll)} == {FLEET, GRID, TASK}
    assert {kind for call in known if isinstance(call, Push) for kind in call.kinds} >= {FLEET, GRID, TASK}
    assert any(call.is_object for call in known if isinstance(call, Push))


FIELDS = """
import importlib, json, pkgutil, sys
import flwr.proto
from google.protobuf import descriptor_pool
for module in pkgutil.iter_modules(flwr.proto.__path__):
    if module.name.endswith("_pb2"):
        importlib.import_module(f"flwr.proto.{module.name}")
def fields(path):
    if path.startswith("/flwr"):
        method = descriptor_pool.Default().FindMethodByName(path[1:].replace("/", "."))
        return method.input_type, method.output_type
    return [found(name) for name in asked[path]]
def found(name):
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(f"flwr.proto.{module}"), attribute).DESCRIPTOR if name else None
asked = json.loads(sys.argv[1])
print(json.dumps({path: [one and sorted(one.fields_by_name) for one in fields(path)] for path in asked}))
"""


def test_calls_have_the_fields_that_are_read(python: Path, paths: list[str], tmp_path: Path) -> None:
    asked = {path: EVERY[path] for path in paths if path in EVERY}
    names = {path: [call.request, getattr(call, "answer", "")] for path, call in asked.items()}
    done = subprocess.run(
        [python, "-c", FIELDS, json.dumps(names)],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    fields = json.loads(done.stdout)
    read = 0
    for path, call in asked.items():
        request, answer = fields[path]
        if isinstance(call, Poll) and call.kind in (FLEET, GRID):
            assert {FLEET: "node", GRID: "message_ids"}[call.kind] in request
            read += 1
        if isinstance(call, Push) and {FLEET, GRID} & set(call.kinds):
            assert "objects_to_push" in answer
            assert FLEET not in call.kinds or "messages_list" in request
            read += 1
    assert read >= 4
