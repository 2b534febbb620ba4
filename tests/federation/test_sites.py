"""A SuperNode that runs elsewhere: started from its kit in another folder, and one of the federation's all the same."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from environments import EVERYDAY
from federation.beds import Bed
from flowerbed import processes
from flowerbed.local.layout import StateFolder
from flowerbed.local.plan import Plan
from flowerbed.local.ports import find_free
from flowerbed.local.runtime import LocalRuntime

Make = Callable[[str], Bed]
QUICK = ("--run-config", "seconds=0.0 num-server-rounds=1")


class Site:
    """A kit that was unpacked and started: a SuperNode elsewhere."""

    def __init__(self, folder: Path, environment: Path) -> None:
        self.folder = folder
        self._environment = environment
        self._log = folder / "start.log"
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        # Its Python has no Flower; the one on PATH has.
        path = f"{self._environment / 'bin'}{os.pathsep}{os.environ['PATH']}"
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(
                [self.folder / "start"], env={**os.environ, "PATH": path}, stdout=log, stderr=log
            )

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def running(self) -> dict[str, int]:
        """Return Flower's programs that run there."""
        commands = {pid: processes.command_line(pid) for pid in processes.descendants(self.pid)}
        names = ("flower-supernode", "flower-superexec")
        return {name: pid for pid, line in commands.items() for name in names if f"bin/{name}" in line.split("--")[0]}

    def end(self) -> int:
        assert self._child is not None
        self._child.terminate()
        return self._child.wait(timeout=60)

    def clear(self) -> None:
        if self._child is not None and self._child.poll() is None:
            processes.send([self.pid, *processes.descendants(self.pid)], signal.SIGKILL)
            self._child.wait()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Callable[[Bed, str], Site]]:
    made: list[Site] = []

    def make(app: Bed, node: str) -> Site:
        kit = tmp_path / f"{node}.tar"
        said = app("node", "kit", node, "--output", str(kit))
        assert said.status == 0, said.lines
        with tarfile.open(kit) as tar:
            tar.extractall(tmp_path / "elsewhere", filter="data")
        environment = Path(Plan.read(app.folder / ".flowerbed" / "plan.json").environment)
        one = Site(tmp_path / "elsewhere" / said.last("kit")["folder"], environment)
        made.append(one)
        return one

    yield make
    for one in made:
        one.clear()


def federation(app: Bed, flower: str) -> None:
    [port] = find_free(1)
    (app.folder / "federation.yaml").write_text(
        f"""\
apiVersion: flowerbed.dev/v1alpha1
kind: Federation
metadata: {{name: test}}
spec:
  flower: "{flower}"
  supernodes: [{{name: hospital, external: true}}, {{name: site}}]
  superlink: {{expose: {{fleetAddress: "localhost:{port}"}}}}
""",
        encoding="utf-8",
    )


def state(app: Bed, node: str = "hospital-0") -> str:
    return str(next(line["state"] for line in app("node", "list").lines if line.get("name") == node))


@pytest.mark.timeout(900)  # a killed SuperNode counts as online for a minute, and there are four acts
@pytest.mark.parametrize("flower", [EVERYDAY[0], EVERYDAY[-1]])
def test_a_supernode_elsewhere_trains_comes_back_when_it_was_killed_and_is_out_when_it_is_revoked(
    bed: Make, site: Callable[[Bed, str], Site], flower: str
) -> None:
    app = bed("slow")
    federation(app, flower)
    up = app("up", "--detach").last("status")
    assert (up["state"], up["nodes_online"], up["nodes_expected"]) == ("ready", 1, 1)  # nobody waits for it
    assert state(app) == "offline"
    hospital = site(app, "hospital-0")

    hospital.start()
    app.wait(lambda: state(app) == "online", "its arrival")
    run = app("run", *QUICK).last("run")
    assert (run["verdict"], [item["results"] for item in run["rounds"][0]["exchanges"]]) == ("succeeded", [2, 2]), (
        run["reason"],
        run["rounds"],
    )
    (mine,) = [one for one in run["replies"] if (one["name"], one["kind"]) == ("hospital-0", "train")]
    assert (mine["asked"], mine["results"]) == (1, 1)
    told = {item["name"]: item["state"] for item in app.status()["components"]}
    assert told["hospital-0"] == "online"
    worked = hospital.folder / "work" / "clientapps"
    assert worked.is_dir()

    before, keys = hospital.running(), online(app)
    os.kill(before["flower-supernode"], signal.SIGKILL)
    app.wait(lambda: online(app) - keys, "another SuperNode under another key")
    app.wait(lambda: len(online(app)) == 2, "the end of the killed one's minute")
    assert set(hospital.running()) == set(before)
    assert not set(hospital.running().values()) & set(before.values())
    run = app("run", *QUICK).last("run")
    assert (run["verdict"], [item["results"] for item in run["rounds"][0]["exchanges"]]) == ("succeeded", [2, 2]), (
        run["reason"],
        run["rounds"],
    )

    assert app("node", "revoke", "hospital-0").status == 0
    app.wait(lambda: "is let in no more" in hospital.log(), "the refusal")
    assert state(app) == "revoked"
    assert "revoked" in app("node", "kit", "hospital-0", "--output", "kit.tar").error
    assert app.status()["state"] == "ready"
    assert hospital.end() == 0
    assert hospital.running() == {}
    assert not worked.exists()


def online(app: Bed) -> set[str]:
    """Return the keys of SuperNodes that count as online, and so are asked: one that was killed, for about a minute."""
    found = LocalRuntime(StateFolder(app.folder.resolve() / ".flowerbed")).ask("nodes")["nodes"]
    return {node["key"] for node in found if node["online"]}


def test_a_kit_that_is_of_no_use_here_says_why(bed: Make, site: Callable[[Bed, str], Site]) -> None:
    app = bed("slow")
    federation(app, EVERYDAY[-1])
    said = app("node", "kit", "site-0", "--output", "kit.tar")
    assert (said.status, said.error) == (2, "site-0 runs here, and kits are for those that run elsewhere")
    assert not (app.folder / "kit.tar").exists()


def test_the_control_api_is_not_shown_by_mistake(bed: Make) -> None:
    app = bed("slow")
    federation(app, "1.42")
    file = app.folder / "federation.yaml"
    text = file.read_text()
    file.write_text(text.replace('"}}\n', '", listen: AllInterfaces}}\n'))
    said = app("up", "--detach")
    assert said.status == 2
    assert "spec.superlink.expose.listen: Flower 1.42.0 has the Control API on the same port" in json.dumps(said.lines)
    assert app.processes() == []
