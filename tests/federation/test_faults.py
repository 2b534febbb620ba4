"""What is killed comes back, and what is lost is called lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from federation.beds import Bed
from flowerbed import processes

Make = Callable[[str], Bed]
OLDEST, NEWEST = "1.22", "1.42"
HELD = Path(__file__).parents[1] / "held"
"""Holds a SuperNode's pull of a message open; see there."""


@pytest.mark.parametrize("flower", [OLDEST, NEWEST])
def test_a_superlink_killed_in_round_2_resumes_its_run(
    bed: Make, federation_file: Callable[..., str], flower: str
) -> None:
    app = bed("slow")
    federation_file(app, flower=flower)
    app("up", "--detach")
    running = app.start("run", "--run-config", "seconds=8.0 only-round=2")
    superlink = app.pid("superlink")
    # Once both train: 1.22 holds what it has not handed out yet in memory, and would lose that.
    app.wait(lambda: all(app.log(f"site-{n}-superexec").count("slow: training") == 2 for n in (0, 1)), "round 2")

    os.kill(superlink, signal.SIGKILL)

    said = app.finish(running)
    run = said.last("run")
    assert (said.status, run["verdict"]) == (0, "succeeded"), run
    assert [one["number"] for one in run["rounds"]] == [1, 2, 3]
    events = [line for line in said.lines if line["type"] == "event" and line["subject"] == "superlink"]
    assert "was killed by SIGKILL" in events[0]["message"]


@pytest.mark.parametrize("flower", [OLDEST, NEWEST])
def test_killing_the_supervisor_leaves_nothing_and_the_next_up_recovers(
    bed: Make, federation_file: Callable[..., str], flower: str
) -> None:
    app = bed("slow")
    federation_file(app, flower=flower)
    app("up", "--detach")
    running = app.start("run", "--run-config", "seconds=60.0")
    app.wait(app.scratch, "a ClientApp in its folder")

    os.kill(app.status()["supervisor_pid"], signal.SIGKILL)

    lost = app.finish(running)
    app.wait(lambda: app.processes() == [], "the end of all processes")
    assert (lost.status, lost.last("run")["verdict"]) == (1, "failed")
    assert "ServerApp was lost" in lost.last("run")["reason"]
    assert app.status()["reason"] == (
        "the supervisor was killed, and run 1 was lost with it; `flowerbed up` starts it again"
    )

    assert app.scratch() != []  # nobody was left to remove them
    assert app("up", "--detach").last("status")["state"] == "ready"
    assert app.scratch() == []
    again = app("run", "--run-config", "seconds=0.0 num-server-rounds=1")
    # Not degraded: SuperNodes that were killed with the supervisor are not asked any more.
    assert (again.status, again.last("run")["verdict"]) == (0, "succeeded")
    assert [line["verdict"] for line in app("runs").lines] == ["failed", "succeeded"]


def test_a_killed_serverapp_is_a_lost_run(bed: Make, federation_file: Callable[..., str]) -> None:
    app = bed("slow")
    federation_file(app)
    app("up", "--detach")
    running = app.start("run", "--run-config", "seconds=60.0")
    app.wait_for_round(1)
    (serverapp,) = [pid for pid in app.processes() if "flwr-serverapp" in processes.command_line(pid)]

    os.kill(serverapp, signal.SIGKILL)

    said = app.finish(running)
    assert (said.status, said.last("run")["verdict"]) == (1, "failed")
    assert "ServerApp was lost" in said.last("run")["reason"]
    assert "(its process was killed by SIGKILL)" in said.last("run")["reason"]


@pytest.mark.parametrize("flower", [OLDEST, NEWEST])
def test_supernodes_that_would_wait_in_vain_are_restarted(
    bed: Make, federation_file: Callable[..., str], tmp_path: Path, flower: str
) -> None:
    """One whose run ended while it pulled a message would be a reply late; one whose ClientApp is gone would hang."""
    app = bed("slow")
    federation_file(app, flower=flower, env={"PYTHONPATH": HELD, "HOLD_A_PULL": tmp_path})
    app("up", "--detach")
    running = app.start("run", "--run-config", "seconds=60.0")
    app.wait((tmp_path / "held").exists, "a pull that is held")
    late = (tmp_path / "held").read_text()
    app.wait(lambda: "slow: training" in app.log(f"{late}-superexec"), "its ClientApp")
    app("stop", "1")
    (tmp_path / "let-go").touch()
    app.finish(running)
    app.wait(lambda: "works on a message of a run that is over" in app.log(late), "notice of the late reply")
    app.wait(lambda: app.restarts(late) == 1 and app.status()["state"] == "ready", "readiness")
    other = "site-1" if late == "site-0" else "site-0"

    running = app.start("run", "--run-config", "seconds=30.0 only-round=1 num-server-rounds=2")

    def clientapp() -> int | None:
        table = processes.children_by_parent()
        tree = processes.descendants(app.pid(f"{other}-superexec"), table)
        return next((pid for pid in tree if "flwr-clientapp" in processes.command_line(pid)), None)

    app.wait(clientapp, "a ClientApp")
    victim = clientapp()
    assert victim is not None
    os.kill(victim, signal.SIGTERM)  # on every release its SuperNode goes on waiting

    said = app.finish(running)
    run = said.last("run")
    wedges = [line for line in said.lines if line["type"] == "event" and line["kind"] == "wedge"]
    assert [line["subject"] for line in wedges] == [other]
    assert "its unit is restarted" in app.log(other)
    assert [one["exchanges"][0]["results"] for one in run["rounds"]] == [1, 2], run
    assert (said.status, run["verdict"]) == (0, "degraded"), run
    why = "waits for the reply of a ClientApp that is gone"
    assert run["reason"].endswith(f"Meanwhile Flowerbed restarted {other} ({why})."), run
    assert app.status()["nodes_online"] == 2


def test_either_half_of_a_supernodes_unit_takes_the_other_with_it(
    bed: Make, federation_file: Callable[..., str]
) -> None:
    app = bed("slow")
    federation_file(app)
    app("up", "--detach")
    before = {item["name"]: item["pid"] for item in app.status()["components"]}

    os.kill(before["site-0-superexec"], signal.SIGKILL)
    app.wait(lambda: app.status()["state"] != "ready", "notice of the end")
    app.wait(lambda: app.status()["state"] == "ready", "readiness")

    after = {item["name"]: item["pid"] for item in app.status()["components"]}
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"site-0", "site-0-superexec"}


def test_a_killed_control_client_loses_nothing_of_a_run(bed: Make, federation_file: Callable[..., str]) -> None:
    app = bed("slow")
    federation_file(app)
    app("up", "--detach")
    running = app.start("run", "--run-config", "seconds=4.0 num-server-rounds=2")
    app.wait_for_round(1)
    (client,) = [pid for pid in app.processes() if "inside control.client" in processes.command_line(pid)]

    os.kill(client, signal.SIGKILL)

    said = app.finish(running)
    assert (said.status, said.last("run")["verdict"]) == (0, "succeeded")
    log = (app.folder / ".flowerbed" / "runs" / "1" / "serverapp.log").read_text(encoding="utf-8")
    assert [log.count(f"[ROUND {number}/2]") for number in (1, 2)] == [1, 1]


def test_ctrl_c_takes_a_foreground_federation_down(bed: Make, federation_file: Callable[..., str]) -> None:
    app = bed("slow")
    federation_file(app)
    up = app.start("up")
    app.wait(lambda: (app.folder / ".flowerbed" / "state.db").exists() and app.status()["state"] == "ready", "ready")
    up.send_signal(signal.SIGINT)
    assert app.finish(up).status == 0
    assert app.processes() == []
    assert app.status()["state"] == "down"


def test_a_crash_loop_is_reported_with_the_last_lines_of_its_log(
    bed: Make, federation_file: Callable[..., str]
) -> None:
    app = bed("slow")
    federation_file(app, more="  serverapp: {env: {PYTHONHOME: /nowhere}}")
    said = app("up", "--detach")
    assert said.status == 1
    assert said.lines[-1]["where"] == "superexec-serverapp"
    assert "3 times in a row" in said.error
    assert "--- superexec-serverapp" in said.lines[-1]["hint"]
    assert "No module named" in said.lines[-1]["hint"]
    assert app.processes() == []


def test_ctrl_c_twice_means_now(bed: Make, federation_file: Callable[..., str]) -> None:
    app = bed("slow")
    federation_file(app)
    running = app.start("run", "--run-config", "seconds=60.0")
    app.wait_for_round(1)
    running.send_signal(signal.SIGINT)
    running.send_signal(signal.SIGINT)
    said = app.finish(running)
    assert said.status == 3
    assert said.last("run")["verdict"] == "stopped"
    assert app.processes() == []


def test_a_foreground_federation_goes_with_its_killed_command(bed: Make, federation_file: Callable[..., str]) -> None:
    app = bed("slow")
    federation_file(app)
    up = app.start("up")
    app.wait(lambda: (app.folder / ".flowerbed" / "state.db").exists() and app.status()["state"] == "ready", "ready")
    running = app.start("run", "--run-config", "seconds=60.0")
    app.wait_for_round(1)
    up.kill()
    up.wait()
    app.wait(lambda: app.processes() == [], "the end of all processes")
    why = "the command that held it up (`flowerbed up` or `flowerbed run`) was killed"
    assert app.status()["reason"] == f"{why}, and run 1 ended with it; `flowerbed up` starts it again"
    run = app.finish(running).last("run")
    assert (run["verdict"], run["reason"]) == ("stopped", f"the federation was taken down: {why}")
