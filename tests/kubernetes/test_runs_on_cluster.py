"""What happens to the runs of a federation that stays up, and to it while it has runs.

One federation serves all of these tests: each leaves it as it was.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster import Cluster, KubectlFailed
from cluster.fixtures import new_namespace
from federation.beds import APPS
from kubernetes.beds import SITES, ClusterBed

pytestmark = [pytest.mark.flower, pytest.mark.timeout(900)]

SECONDS = ("--run-config", "seconds=4.0 num-server-rounds=3")


@pytest.fixture(scope="module")
def kept(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterBed]:
    """Keep one federation up for all tests that leave it as they find it."""
    folder = tmp_path_factory.mktemp("kept") / "slow"
    shutil.copytree(APPS / "slow", folder)
    with new_namespace(cluster, "kept") as namespace:
        bed = ClusterBed(folder, cluster.environment(), ("--on", "kubernetes"), cluster=cluster, namespace=namespace)
        bed.write("1.42.0")
        yield bed
        bed.clear()


@pytest.fixture
def bed(kept: ClusterBed) -> Iterator[ClusterBed]:
    """Give the kept federation; what a test that failed has left of its run is stopped."""
    up = kept("up")
    assert up.status == 0, up.lines[-1:]
    yield kept
    kept.end_commands()
    for run in [line for line in kept("runs").lines if line["phase"] != "finished"]:
        kept("stop", str(run["number"]))


def test_what_apps_save_is_where_they_work_and_some_of_it_is_fetched(bed: ClusterBed) -> None:
    """The root of every Pod is read-only."""
    run = bed("run", "--run-config", "seconds=0.1 num-server-rounds=1").last("run")
    assert run["verdict"] == "succeeded", run
    number, folder = str(run["number"]), f"/results/{run['flower_id']}"
    (server,) = [pod for pod in bed.pods() if pod.startswith("test-superexec-serverapp-")]
    make = f"cd {folder} && mkdir plots && echo 1 > plots/loss.txt && mkfifo pipe && ln -s /etc/passwd out"
    bed.kubectl("exec", server, "--", "sh", "-c", make)

    listed = bed("results", number, "--list").last("results")
    assert [file["name"] for file in listed["files"]] == ["counted.json", "plots/loss.txt"]
    assert [one["name"] for one in listed["left_out"]] == ["out", "pipe"]
    assert not (bed.folder / ".flowerbed").exists()

    some = bed("results", number, "plots/*", "--into", "mine").last("results")
    assert [file["name"] for file in some["files"]] == ["plots/loss.txt"]
    assert [path.read_text() for path in (bed.folder / "mine").rglob("*.txt")] == ["1\n"]
    every = bed("results", number).last("results")
    fetched = {file["name"]: Path(bed.folder, file["path"]).stat().st_size for file in every["files"]}
    assert fetched == {file["name"]: file["bytes"] for file in listed["files"]}

    worked = "ls /tmp/flowerbed-clientapps"
    bed.cluster.wait(
        lambda: not any(bed.kubectl("exec", pod, "--", "sh", "-c", worked).split() for pod in SITES),
        "the end of the ClientApps' folders",
    )


def test_a_run_outlives_a_restart_of_the_kubelet(bed: ClusterBed) -> None:
    end = bed.begin_run(*SECONDS)
    before = bed.pods()
    bed.cluster.restart_kubelet()
    run = end()
    assert (run["status"], run["verdict"]) == (0, "succeeded"), run
    assert {name: uid for name, uid in bed.pods().items() if name in before} == before


def test_a_drain_waits_for_the_run_and_takes_one_supernode_at_a_time(bed: ClusterBed) -> None:
    """With one node there is nowhere else to go: the drain ends at its own time limit, and the node is opened again."""
    end = bed.begin_run("--run-config", "seconds=4.0 only-round=2 num-server-rounds=4")
    before = bed.pods()
    (node,) = bed.cluster.kubectl("get", "nodes", "--output", "name").split()
    ours = ("--pod-selector", "app.kubernetes.io/instance=test", "--delete-emptydir-data", "--timeout", "10s")
    try:
        with pytest.raises(KubectlFailed, match="disruption budget"):
            bed.cluster.kubectl("drain", node, *ours)
        during = bed.pods()
    finally:
        bed.cluster.kubectl("uncordon", node)
    gone = {name for name, uid in before.items() if during.get(name) != uid and not name.startswith("test-run-")}
    assert gone in ({"test-site-0"}, {"test-site-1"})  # a run's own Pod, which has ended, may go as well
    run = end()
    assert (run["status"], run["verdict"] in ("succeeded", "degraded")) == (0, True), run
    assert len(run["rounds"]) == 4  # type: ignore[arg-type]
    bed.wait(lambda: bed("status").last("status")["nodes_online"] == 2, "the return of the SuperNode")


def test_a_run_goes_on_without_its_command_and_is_judged_by_the_next(bed: ClusterBed) -> None:
    number = bed.next_run()
    running = bed.start("run", *SECONDS)
    bed.wait_for_round(1, run=number)
    running.kill()
    running.wait()
    bed.wait(lambda: bed.run(number).get("phase") == "finished", "the end of the run")
    run = bed.run(number)
    assert (run["verdict"], len(run["rounds"])) == ("succeeded", 3)
    replies = run["replies"]
    assert {(one["name"], one["asked"], one["results"]) for one in replies} == {("site-0", 3, 3), ("site-1", 3, 3)}
    assert run["nodes"] == {one["node"]: one["name"] for one in replies}


def test_a_run_is_stopped_by_another_command(bed: ClusterBed) -> None:
    """It was submitted once an `up` was through that might have restarted what it needs."""
    number = str(bed.next_run())
    mark = ("annotate", "statefulset", "test-superlink")
    bed.kubectl(*mark, "flowerbed.dev/changing=now")
    running = bed.start("run", *SECONDS)
    bed.wait(lambda: bed.run(int(number)).get("phase") == "submitting", "the run's record")
    assert f"test-run-{number}" not in bed.kubectl("get", "jobs", "--output", "name")
    bed.kubectl(*mark, "flowerbed.dev/changing-")
    bed.wait_for_round(1, run=int(number))
    assert bed("stop", number).last("run")["verdict"] == "stopped"
    run = bed.finish(running).last("run")
    assert (run["outcome"], run["reason"][:30]) == ("stopped", "The run was stopped on request")


def test_runs_of_flwr_run_are_followed_by_whoever_looks_and_say_what_they_wait_for(bed: ClusterBed) -> None:
    number = bed.next_run()
    short = bed.flwr_run("seconds=0.0 num-server-rounds=1")
    long = bed.flwr_run("min-available-nodes=3")
    runs: list[dict[str, Any]] = []

    def waits() -> bool:
        runs[:] = [run for run in bed("status").last("status")["runs"] if run["waits_for"]]
        return bool(runs)

    bed.wait(waits, "the waiting")
    [waiting] = runs
    assert (waiting["flower_id"], waiting["phase"], waiting["foreign"]) == (long, "running", True)
    assert waiting["waits_for"].startswith("SuperNodes: 2 connected, 3 required; the federation has only 2: lower")

    bed.wait(lambda: bed.run(number).get("verdict"), "its verdict")
    run = bed.run(number)
    assert (run["flower_id"], run["verdict"], run["foreign"]) == (short, "succeeded", True), run
    assert (run["app"], run["config"]) == ("tests/slow==1.0.0", {"seconds": 0.0, "num-server-rounds": 1})
    [saved] = [file for file in bed("results", str(number)).last("results")["files"] if "counted" in file["path"]]
    assert json.loads((bed.folder / saved["path"]).read_text()) == [1.0]

    stopped = bed("stop", long).last("run")
    assert (stopped["number"], stopped["verdict"]) == (number + 1, "stopped")
    assert "while it waited for SuperNodes: 2 connected, 3 required" in stopped["reason"]
    ids = [line["flower_id"] for line in bed("runs").lines]
    assert len(set(ids)) == len(ids)


def test_another_field_managers_fields_are_not_overwritten_silently(bed: ClusterBed) -> None:
    scale = json.dumps(
        {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "test-site"}, "spec": {"replicas": 1}}
    )
    bed.cluster.kubectl(
        *("--namespace", bed.namespace, "apply", "--server-side", "--force-conflicts", "--field-manager", "somebody"),
        *("--filename", "-"),
        input=scale,
    )
    said = bed("up")
    assert said.status == 1
    assert said.lines[-1]["error"] == "ClusterConflict"
    assert said.lines[-1]["conflicts"] == [{"manager": "somebody", "field": ".spec.replicas"}]
    assert bed("up", "--force-conflicts").last("status")["nodes_online"] == 2


def test_a_run_whose_command_was_killed_while_it_submitted_can_be_stopped(bed: ClusterBed) -> None:
    number = bed.next_run()
    running = bed.start("run", *SECONDS)
    bed.cluster.wait(lambda: f"test-run-{number}" in bed.kubectl("get", "jobs", "--output", "name"), "the Job")
    running.kill()
    running.wait()
    assert bed("stop", str(number)).last("run")["verdict"] == "stopped"
    assert bed("run", "--run-config", "seconds=0.0 num-server-rounds=1").last("run")["verdict"] == "succeeded"
    assert [bed.run(one)["verdict"] for one in (number, number + 1)] == ["stopped", "succeeded"]


def test_a_supernode_whose_pod_is_deleted_is_back_for_the_next_run(bed: ClusterBed) -> None:
    end = bed.begin_run(*SECONDS)
    bed.kubectl("delete", "pod", "test-site-1", "--force", "--grace-period=0")
    run = end()
    assert run["verdict"] in ("succeeded", "degraded"), run
    # The SuperLink counts the one that was killed as online for a while, and a run would ask it too.
    assert bed("run", "--run-config", "seconds=0.0 num-server-rounds=1").last("run")["verdict"] == "succeeded"
    assert bed("status").last("status")["nodes_online"] == 2
