"""A drain under a run, of SuperNodes that have the time to reply before they end."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from cluster import KubectlFailed
from kubernetes.beds import LONG_ROUND_2, SITES, ClusterBed, Make

pytestmark = [pytest.mark.flower, pytest.mark.timeout(900)]


@pytest.mark.parametrize("release", ["1.22.0", "1.42.0"])
def test_a_supernode_with_time_to_reply_is_drained_and_takes_nothing_from_the_run(
    cluster_bed: Make, release: str
) -> None:
    bed = cluster_bed("slow")
    bed.write(release, pool=", terminationGracePeriodSeconds: 150")
    assert bed("up").status == 0
    running = bed.start("run", *LONG_ROUND_2)
    bed.wait_until_both_train()
    before = bed.pods()
    (node,) = bed.cluster.kubectl("get", "nodes", "--output", "name").split()
    of_pool = "app.kubernetes.io/instance=test,app.kubernetes.io/component=supernode"
    with ThreadPoolExecutor(1) as beside:
        try:
            # It waits for the other one until its time is over: on the only node there is nowhere else to go.
            drain = ("drain", node, "--pod-selector", of_pool, "--delete-emptydir-data", "--timeout", "30s")
            drained = beside.submit(bed.cluster.kubectl, *drain)
            bed.wait(lambda: len(ending(bed)) == 1, "an eviction")
            (evicted,) = ending(bed)
            bed.wait(lambda: "asked to end; what it works on has" in bed.kubectl("logs", evicted), "what it says")
            bed.let_finish(evicted)
            bed.wait(lambda: bed.pods().get(evicted) != before[evicted], "its end")
            with pytest.raises(KubectlFailed, match="disruption budget"):
                drained.result()
        finally:
            bed.cluster.kubectl("uncordon", node)
    (other,) = set(SITES) - {evicted}
    assert bed.pods()[other] == before[other]
    bed.let_finish(other)
    said = bed.finish(running)
    run = said.last("run")
    assert (said.status, run["verdict"]) == (0, "succeeded"), run
    assert {exchange["results"] for one in run["rounds"] for exchange in one["exchanges"]} == {2}, run


def ending(bed: ClusterBed) -> list[str]:
    """Return the SuperNodes' Pods that were asked to end."""
    path = "jsonpath={range .items[?(@.metadata.deletionTimestamp)]}{.metadata.name} {end}"
    return [name for name in bed.kubectl("get", "pods", "--output", path).split() if name in SITES]
