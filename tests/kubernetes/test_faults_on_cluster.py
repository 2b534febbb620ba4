"""What is deleted, killed or restarted in a cluster while a run goes on, and what comes of it."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from kubernetes.beds import LONG_ROUND_2, ClusterBed, Make

pytestmark = [pytest.mark.flower, pytest.mark.timeout(900)]

SECONDS = ("--run-config", "seconds=4.0 num-server-rounds=3")


def begun(bed: ClusterBed, release: str) -> Callable[[], dict[str, object]]:
    """Bring a federation up and begin a run; return what waits for its end and gives it."""
    bed.write(release)
    up = bed("up")
    assert up.status == 0, up.lines[-1:]
    return bed.begin_run(*SECONDS)


@pytest.mark.parametrize("release", ["1.22.0", "1.42.0"])
def test_a_run_outlives_the_superlinks_pod(cluster_bed: Make, release: str) -> None:
    bed = cluster_bed("slow")
    bed.write(release)
    assert bed("up").status == 0
    running = bed.start("run", *LONG_ROUND_2)
    bed.wait_until_both_train()
    before = bed.pods()["test-superlink-0"]
    # Until it has ended: Flower gives up a reply that is on its way to a SuperLink when that ends.
    bed.kubectl("delete", "pod", "test-superlink-0", "--grace-period=1")
    bed.let_both_finish()
    said = bed.finish(running)
    assert (said.status, said.last("run")["verdict"]) == (0, "succeeded"), said.last("run")
    assert bed.pods()["test-superlink-0"] != before


def test_a_lost_serverapp_is_a_failed_run_that_says_so(cluster_bed: Make) -> None:
    bed = cluster_bed("slow")
    end = begun(bed, "1.42.0")
    bed.kubectl("delete", "pod", "--selector", "app.kubernetes.io/component=superexec-serverapp", "--grace-period=1")
    run = end()
    assert (run["status"], run["verdict"]) == (1, "failed")
    assert "SuperExec was started anew" in str(run["reason"])


def test_up_that_was_killed_half_way_is_finished_by_the_next(cluster_bed: Make) -> None:
    bed = cluster_bed("slow")
    bed.write("1.42.0")
    up = bed.start("up")
    bed.cluster.wait(
        lambda: "test-superlink" in bed.kubectl("get", "statefulsets", "--output", "name"), "a StatefulSet"
    )
    up.kill()
    up.wait()
    assert bed("up").last("status")["state"] == "ready"


def test_down_in_the_middle_of_up_wins(cluster_bed: Make) -> None:
    bed = cluster_bed("slow")
    bed.write("1.42.0")
    up = bed.start("up")
    bed.cluster.wait(lambda: "test-site" in bed.kubectl("get", "statefulsets", "--output", "name"), "all StatefulSets")
    assert bed("down").status == 0
    said = bed.finish(up)
    assert said.status == 1
    assert "taken down" in said.error
    assert bed.pods() == {}


def test_ctrl_c_leaves_what_was_applied(cluster_bed: Make) -> None:
    bed = cluster_bed("slow")
    bed.write("1.42.0", image="flwr/superexec:9.9.9")
    up = bed.start("up")
    bed.cluster.wait(lambda: "test-site-0" in bed.pods(), "Pods")
    up.send_signal(signal.SIGINT)
    assert bed.finish(up).status == 130
    assert "test-site-0" in bed.pods()


def test_a_missing_image_is_told_in_a_sentence_and_can_be_mended(cluster_bed: Make) -> None:
    bed = cluster_bed("slow")
    bed.write("1.42.0", image="flwr/superexec:9.9.9")
    said = bed("up")
    assert said.status == 1
    assert said.lines[-1]["error"] == "FederationFailed"
    assert "flwr/superexec:9.9.9" in said.error
    bed.write("1.42.0")
    assert bed("up").last("status")["state"] == "ready"


def test_a_release_change_waits_for_runs_and_keeps_the_old_database(cluster_bed: Make) -> None:
    bed = cluster_bed("slow")
    bed.write("1.22.0")
    assert bed("up").status == 0
    running = bed.start("run", *LONG_ROUND_2)
    bed.wait_until_both_train()
    before = bed.pods()
    bed.write("1.22.0", more="  serverapp: {env: {GREETING: hello}}")
    greeting = bed("up")
    bed.write("1.42.0")
    both = "superlink and superexec-serverapp would restart: Flower 1.42.0 instead of 1.22.0"
    for refused, why in (
        (greeting, "superexec-serverapp would restart: another environment variable: GREETING"),
        (bed("up"), both),
        (bed("run", *LONG_ROUND_2), both),
    ):
        assert (refused.status, refused.error) == (2, f"run 1 is not finished, and {why}"), refused
    assert {name: uid for name, uid in bed.pods().items() if name in before} == before
    bed.let_both_finish()
    assert bed.finish(running).last("run")["verdict"] == "succeeded"
    up = bed("up")
    said = [line["message"] for line in up.lines if line.get("kind") == "change"]
    assert said == ["superlink, superexec-serverapp and site restart: Flower 1.42.0 instead of 1.22.0"]
    assert up.last("status")["flower"] == "1.42.0"
    assert bed("run", "--run-config", "seconds=0.0 num-server-rounds=1").last("run")["verdict"] == "succeeded"
    assert [bed.run(number)["verdict"] for number in (1, 2)] == ["succeeded", "succeeded"]
    databases = bed.kubectl(
        "exec", "test-superlink-0", "--", "python", "-c", "import os; print(sorted(os.listdir('/data')))"
    )
    assert databases.strip() == "['1.22', '1.42']"
