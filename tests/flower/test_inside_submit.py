"""The program of a run's Job: an app comes in a stream, whole or not at all, and is submitted once."""

from __future__ import annotations

import gzip
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from by_hand import HOST, PATIENCE, Client, environment, eventually, write_app
from units import SUBMIT, FederationInUnits

from environments import environment_python
from flowerbed import processes
from flowerbed.flower.releases import Row
from flowerbed_inside.submit.inbox import NotReceivedError, receive
from free_ports import free_port


def pack(folder: Path) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        archive.add(folder, arcname=".")
    return data.getvalue()


def framed(data: bytes) -> bytes:
    return f"{len(data)}\n".encode() + data


def files(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


# Receiving.


def test_an_app_comes_whole(tmp_path: Path) -> None:
    app = write_app(tmp_path / "app")
    (app / "tiny" / "again.py").symlink_to("server.py")
    (app / "tiny" / "up.toml").symlink_to("../pyproject.toml")
    receive(io.BytesIO(framed(pack(app)) + b"not ours"), tmp_path / "there" / "inbox")
    assert files(tmp_path / "there" / "inbox") == files(app)
    assert (tmp_path / "there" / "inbox" / "tiny" / "up.toml").is_symlink()
    assert {path.name for path in (tmp_path / "there").iterdir()} == {"inbox", ".inbox.sha256"}


def test_it_is_not_read_beyond_its_length_although_nobody_closes_the_stream(tmp_path: Path) -> None:
    app = write_app(tmp_path / "app")
    child = subprocess.Popen(
        [sys.executable, *SUBMIT, "--receive", "--inbox", tmp_path / "inbox"], stdin=subprocess.PIPE
    )
    assert child.stdin is not None
    with child.stdin as stream:
        data = framed(pack(app))
        stream.write(data[:10])
        stream.flush()
        stream.write(data[10:])
        stream.flush()
        assert child.wait(PATIENCE) == 0
    assert files(tmp_path / "inbox") == files(app)


def test_the_same_may_come_twice_and_another_not(tmp_path: Path) -> None:
    data = framed(pack(write_app(tmp_path / "app")))
    receive(io.BytesIO(data), tmp_path / "inbox")
    receive(io.BytesIO(data), tmp_path / "inbox")
    other = framed(pack(write_app(tmp_path / "other", server="raise SystemExit")))
    with pytest.raises(NotReceivedError, match="another app is at"):
        receive(io.BytesIO(other), tmp_path / "inbox")
    assert files(tmp_path / "inbox") == files(tmp_path / "app")


def member(name: str, change: Callable[[tarfile.TarInfo], None] = lambda _: None) -> bytes:
    """Return an archive with a good file and one more member."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("good.py"))
        info = tarfile.TarInfo(name)
        change(info)
        archive.addfile(info)
    return data.getvalue()


def link(kind: bytes, target: str) -> Callable[[tarfile.TarInfo], None]:
    def change(info: tarfile.TarInfo) -> None:
        info.type, info.linkname = kind, target

    return change


def device(info: tarfile.TarInfo) -> None:
    info.type = tarfile.CHRTYPE


@pytest.mark.parametrize(
    ("archive", "why"),
    [
        (member("../evil.py"), "'../evil.py' is outside of the app's folder"),
        (member("a/../../evil.py"), "is outside of the app's folder"),
        (member("/evil.py"), "'/evil.py' is outside of the app's folder"),
        (member("a", link(tarfile.SYMTYPE, "/etc")), "'a' points out of the app's folder, at '/etc'"),
        (member("a/b", link(tarfile.SYMTYPE, "../../etc")), "'a/b' points out of the app's folder, at '../../etc'"),
        (member("a", link(tarfile.LNKTYPE, "../etc")), "'a' points out of the app's folder, at '../etc'"),
        (member("null", device), "'null' is a special file"),
        (b"no archive at all" * 100, "cannot be unpacked"),
        (gzip.compress(b"x" * 2000, mtime=0), "cannot be unpacked"),  # its bytes are the test's name, for all workers
    ],
)
def test_what_leaves_the_folder_is_refused_and_leaves_nothing(tmp_path: Path, archive: bytes, why: str) -> None:
    source = io.BytesIO(framed(archive))
    with pytest.raises(NotReceivedError, match="cannot be unpacked") as caught:
        receive(source, tmp_path / "there" / "inbox")
    assert why in str(caught.value)
    assert list((tmp_path / "there").iterdir()) == []
    assert source.read() == b""  # who sends it was not left writing


@pytest.mark.parametrize("cut", [1, 100])
def test_half_an_app_is_none(tmp_path: Path, cut: int) -> None:
    data = framed(pack(write_app(tmp_path / "app")))[:-cut]
    with pytest.raises(NotReceivedError):
        receive(io.BytesIO(data), tmp_path / "inbox")
    assert not (tmp_path / "inbox").exists()


def test_what_is_not_framed_is_said(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, *SUBMIT, "--receive", "--inbox", tmp_path / "inbox"],
        input=pack(write_app(tmp_path / "app")),
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 1
    assert b"and no number of bytes" in done.stderr
    assert not (tmp_path / "inbox").exists()


# What the image holds.


def test_packages_are_those_of_the_environment(tmp_path: Path) -> None:
    python = environment_python("1.42.0")
    done = subprocess.run(
        [python, *SUBMIT, "--packages"],
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        timeout=PATIENCE,
        check=True,
    )
    said = json.loads(done.stdout)
    assert said["flwr"] == said["packages"]["flwr"] == "1.42.0"
    assert "protobuf" in said["packages"]
    assert ["ray", "2.51.1; extra ", ' "simulation"'][0] in " ".join(said["extras"]["flwr"])
    assert all("extra" in line for lines in said["extras"].values() for line in lines)
    assert said["python"] == said["markers"]["python_full_version"]
    assert said["markers"]["sys_platform"] == sys.platform


# Submitting.


def submit(python: Path, home: Path, *arguments: str, **config: object) -> subprocess.Popen[bytes]:
    env = environment(home)
    env["FLOWERBED_RUN_CONFIG"] = json.dumps(config)
    command = [str(python), "-u", *SUBMIT, "--dialect", "http", *arguments]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE)


def answer(process: subprocess.Popen[bytes]) -> tuple[int, dict[str, Any]]:
    said, _ = process.communicate(timeout=PATIENCE)
    [line] = said.splitlines()
    return process.returncode, json.loads(line)


@pytest.fixture(scope="module")
def python() -> Path:
    return environment_python("1.42.0")


def test_an_app_that_does_not_come(python: Path, tmp_path: Path) -> None:
    inbox, log = tmp_path / "inbox", tmp_path / "termination-log"
    log.touch()
    options = ["--address", f"{HOST}:9", "--inbox", str(inbox), "--patience", "0.5", "--termination-log", str(log)]
    status, said = answer(submit(python, tmp_path / "home", *options))
    error = {"code": "no-app", "message": f"no app came to {inbox} within 0.5 s"}
    assert (status, said) == (1, {"ok": False, "error": error})
    assert json.loads(log.read_text()) == said


def test_a_superlink_that_is_not_there(python: Path, tmp_path: Path) -> None:
    app, address = write_app(tmp_path / "app"), f"{HOST}:{free_port()}"
    options = ["--address", address, "--baked", str(app), "--patience", "1"]
    status, said = answer(submit(python, tmp_path / "home", *options))
    assert (status, said["error"]["code"]) == (1, "unavailable")
    assert not (tmp_path / "termination-log").exists()


def test_a_long_reason_is_shortened_for_kubernetes(python: Path, tmp_path: Path) -> None:
    log, folder = tmp_path / "termination-log", tmp_path / "/".join("y" * 200 for _ in range(15))
    log.touch()
    options = ["--address", f"{HOST}:9", "--baked", str(folder), "--termination-log", str(log)]
    status, said = answer(submit(python, tmp_path / "home", *options))
    assert status == 1
    assert said["error"]["message"].endswith("y" * 200)
    assert log.stat().st_size <= 4096
    assert json.loads(log.read_text())["error"]["code"] == "bad-app"


@pytest.mark.parametrize("config", ["[1]", "{"])
def test_a_run_config_that_is_none(python: Path, tmp_path: Path, config: str) -> None:
    env = {**environment(tmp_path), "FLOWERBED_RUN_CONFIG": config}
    command = [str(python), *SUBMIT, "--dialect", "http", "--address", f"{HOST}:9", "--baked", str(tmp_path)]
    status, said = answer(subprocess.Popen(command, env=env, stdout=subprocess.PIPE))
    assert (status, said["error"]["code"]) == (1, "bad-config")


@pytest.mark.parametrize("arguments", [[], ["--inbox", "/x"], ["--receive"]])
def test_options_that_make_no_sense(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, *SUBMIT, *arguments], capture_output=True, timeout=PATIENCE, check=False)
    assert done.returncode == 2


HANGS = """
import os, sys, time
sys.argv[1:] = ["--dialect", "http", "--address", "127.0.0.1:9", "--inbox", "/no/such"]
from flowerbed_inside.submit import main as submit
out = os.dup(1)
def hangs(*_):
    os.write(out, b"hangs\\n")
    time.sleep(1000)
submit.answer = hangs
submit.main()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a PID namespace")
def test_as_process_1_it_heeds_sigterm_at_once() -> None:
    namespace = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    command = [*namespace, sys.executable, "-c", HANGS]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"hangs\n"
        [init] = processes.children_by_parent()[process.pid]
        os.kill(init, signal.SIGTERM)
        assert process.wait(10) == 128 + signal.SIGTERM


# With Flower itself.


@pytest.fixture(scope="module")
def running(row: Row, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FederationInUnits, Client]]:
    there = FederationInUnits(str(row.release), tmp_path_factory.mktemp(f"submit-{row.minor}"))
    with there.superlink_unit() as unit:
        eventually(unit.ready)
        client = Client(there.release, there.control, home=there.folder / "client", database=there.database)
        yield there, client
        client.close()


@pytest.mark.flower
@pytest.mark.timeout(600)
class TestWithFlower:
    def test_an_app_that_is_streamed_in_is_started_once(
        self, running: tuple[FederationInUnits, Client], tmp_path: Path
    ) -> None:
        there, client = running
        app, inbox, log = write_app(tmp_path / "app"), tmp_path / "tmp" / "inbox", tmp_path / "termination-log"
        log.touch()
        options = ["--inbox", str(inbox), "--termination-log", str(log)]
        job = there.submit(*options, config={"lines": 5, "name.of.line": "Zeile"})
        received = there.submit("--receive", "--inbox", str(inbox))
        received.communicate(framed(pack(app)), timeout=PATIENCE)
        assert received.returncode == 0
        status, said = answer(job)
        assert (status, said["ok"]) == (0, True), said
        assert (said["fab_id"], said["fab_version"]) == ("tests/tiny", "1.0.0")
        assert said["fab_files"] == ["pyproject.toml", "tiny/__init__.py", "tiny/client.py", "tiny/server.py"]
        assert json.loads(log.read_text()) == {key: value for key, value in said.items() if key != "fab_files"}
        assert [run["run"] for run in client.ask("runs")] == [said["run"]]
        with there.serverapp_unit() as unit:
            eventually(unit.ready)
            eventually(lambda: client.ask("runs", run=said["run"])[0]["status"] == "finished")
        client.ask("follow", run=said["run"])
        client.wait(lambda: client.ended(said["run"]))
        assert client.log(said["run"]).count("Zeile") == 5

    def test_an_app_that_the_image_brings_is_started(
        self, running: tuple[FederationInUnits, Client], tmp_path: Path
    ) -> None:
        there, client = running
        app = write_app(tmp_path / "app")
        before = len(client.ask("runs"))
        status, said = answer(there.submit("--baked", str(app)))
        assert (status, said["ok"]) == (0, True), said
        assert len(client.ask("runs")) == before + 1

    @pytest.mark.parametrize(
        ("config", "folder", "code"), [({"linse": 3}, "app", "bad-config"), ({}, "empty", "bad-app")]
    )
    def test_what_is_refused_starts_nothing(
        self, running: tuple[FederationInUnits, Client], tmp_path: Path, config: dict[str, Any], folder: str, code: str
    ) -> None:
        there, client = running
        write_app(tmp_path / "app")
        (tmp_path / "empty").mkdir()
        before = client.ask("runs")
        status, said = answer(there.submit("--baked", str(tmp_path / folder), config=config))
        assert (status, said["error"]["code"]) == (1, code)
        assert client.ask("runs") == before
