"""Another authority in a cluster, in the middle of a run."""

from __future__ import annotations

import pytest

from kubernetes.beds import LONG_ROUND_2, ClusterBed, Make

pytestmark = [pytest.mark.flower, pytest.mark.timeout(900)]

SUPERLINK = "test-superlink-0"
QUICK = ("--run-config", "seconds=0.1 num-server-rounds=1")


@pytest.mark.parametrize("release", ["1.22.0", "1.42.0"])
def test_a_rotated_ca_in_the_middle_of_a_run(cluster_bed: Make, release: str) -> None:
    bed = cluster_bed("slow")
    bed.write(release)
    assert bed("up").status == 0
    [old] = fingerprints(bed, "ca")
    running = bed.start("run", *LONG_ROUND_2)
    bed.wait_until_both_train()
    before = units(bed)

    rotated = bed("trust", "rotate", "--authority")

    assert rotated.status == 0, rotated.lines[-1:]
    [new] = fingerprints(bed, "ca")
    assert fingerprints(bed, "ca-before") == [old] != [new]
    assert bed("trust", "export").last("authority")["certificate"].count("BEGIN CERTIFICATE") == 2
    bed.let_both_finish()
    said = bed.finish(running)
    assert (said.status, said.last("run")["verdict"]) == (0, "succeeded"), said.last("run")
    during = units(bed)
    assert {name for name in before if before[name] != during.get(name)} == {SUPERLINK}

    assert bed("up").last("status")["state"] == "ready"

    assert (fingerprints(bed, "ca"), fingerprints(bed, "ca-before")) == ([new], [])
    after = units(bed)
    assert not set(during.values()) & set(after.values())  # the SuperLink's too: its proxy trusted both
    assert bed("run", *QUICK).last("run")["verdict"] == "succeeded"
    assert bed("up").status == 0
    assert units(bed) == after, "nothing is left to do"


def test_other_secrets_start_everything_again(cluster_bed: Make) -> None:
    bed = cluster_bed("slow")
    bed.write("1.42.0")
    assert bed("up").status == 0
    before = units(bed)
    assert bed("trust", "rotate", "--secret").status == 0
    after = units(bed)
    assert not set(before.values()) & set(after.values())
    assert bed("run", *QUICK).last("run")["verdict"] == "succeeded"


def fingerprints(bed: ClusterBed, name: str) -> list[str]:
    return [line["fingerprint"] for line in bed("trust", "show").lines if line.get("name") == name]


def units(bed: ClusterBed) -> dict[str, str]:
    """Return the Pods of Flower's programs, without those of runs."""
    return {name: uid for name, uid in bed.pods().items() if not name.startswith("test-run-")}
