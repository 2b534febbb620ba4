"""A cluster with a node for everything, and one for Pods that ask for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import Cluster, NodeSpec
from cluster.harness import POLICY_ENFORCER
from cluster.images import flower_images
from cluster.pods import create, fetch, pod, service, until_ready, web_server


@pytest.fixture(scope="module")
def enforcer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program in the place of an enforcer of network policies: it writes down how it was started."""
    program = tmp_path_factory.mktemp("enforcer") / "enforcer"
    program.write_text('#!/bin/sh\necho "$@" > "$0.$NODE_NAME"\nexec sleep infinity\n')
    program.chmod(0o755)
    return program


@pytest.fixture(scope="module")
def pair(cluster: Cluster, enforcer: Path) -> Iterator[Cluster]:
    """Start it beside the session's own: clusters do not get into each other's way."""
    tainted = {"key": "pool", "value": "far", "effect": "NoSchedule"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(POLICY_ENFORCER, str(enforcer))
        specs = [NodeSpec(), NodeSpec({"pool": "far"}, (tainted,))]
        with Cluster(specs, images=[flower_images("1.42.0")]) as two:
            yield two


def test_pods_on_both_talk_by_services(pair: Cluster) -> None:
    far = {"nodeSelector": {"pool": "far"}, "tolerations": [{"key": "pool", "operator": "Exists"}]}
    create(pair, "default", web_server("near"), web_server("far", **far), service("near"), service("far"))
    until_ready(pair, "default", "near", "far")
    place = "jsonpath={.items[*].spec.nodeName}"
    assert pair.kubectl("get", "pods", "--sort-by=.metadata.name", "-o", place) == "node-1 node-0"
    for asking in ("near", "far"):
        # With the namespace: a Pod knows its own plain name from /etc/hosts.
        ask = "; ".join([fetch("http://near.default"), fetch("http://far.default")])
        assert pair.kubectl("exec", asking, "--", "sh", "-c", ask).split() == ["near", "far"]


def test_a_taint_keeps_others_away(pair: Cluster) -> None:
    create(pair, "default", pod("shy", "true", nodeSelector={"pool": "far"}))

    def reason() -> str:
        path = "jsonpath={.status.conditions[?(@.type=='PodScheduled')].message}"
        return pair.kubectl("get", "pod", "shy", "-o", path)

    pair.wait(lambda: "untolerated taint" in reason(), "the scheduler says why")


def test_each_node_has_its_enforcer_of_network_policies(pair: Cluster, enforcer: Path) -> None:
    for node in pair.nodes:
        arguments = enforcer.with_name(f"enforcer.{node.name}").read_text().split()
        flag, kubeconfig, *modes = arguments
        assert flag == "--kubeconfig"
        assert modes[-1] == f"--hostname-override={node.name}"
        asked = ["get", "networkpolicies", "--all-namespaces", "--output=name"]
        assert node.place.run(str(pair.kubectl_program), "--kubeconfig", kubeconfig, *asked) == ""
