"""Certificates and keys in a real cluster: a file that says nothing of them runs with both."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path

import pytest

from cluster import KubectlFailed
from federation.beds import FLOWERBED
from kubernetes.beds import LONG_ROUND_2, ClusterBed, Make
from shown_secrets import forms, shown

pytestmark = [pytest.mark.flower, pytest.mark.timeout(900)]

RELEASES = ("1.22.0", "1.42.0")


def secrets_of(bed: ClusterBed) -> dict[str, bytes]:
    """Return all that is secret: not the certificates beside it."""
    items = json.loads(bed.kubectl("get", "secrets", "--output", "json"))["items"]
    return {
        f"{item['metadata']['name']}/{key}": base64.b64decode(value)
        for item in items
        for key, value in item["data"].items()
        if key not in ("tls.crt", "ca.crt", "revoked.json")
    }


def seen_by_others(bed: ClusterBed) -> dict[str, bytes]:
    """Return what others see: logs, all objects but Secrets, processes' command lines and environments, `render`."""
    seen = {f"log of {pod}": bed.kubectl("logs", pod, "--all-containers").encode() for pod in bed.pods()}
    kinds = "pods,configmaps,statefulsets,deployments,jobs,events,services,persistentvolumeclaims"
    seen["objects"] = bed.kubectl("get", kinds, "--output", "yaml").encode()
    for process in Path("/proc").glob("[0-9]*"):
        for kind in ("cmdline", "environ"):
            try:
                seen[str(process / kind)] = (process / kind).read_bytes()
            except OSError:  # it has ended
                continue
    rendered = subprocess.run([*FLOWERBED, "render"], cwd=bed.folder, capture_output=True, check=True).stdout
    return {**seen, "render": rendered}


@pytest.mark.parametrize("release", RELEASES)
def test_a_supernode_that_is_killed_is_back_in_the_run_and_no_secret_shows(cluster_bed: Make, release: str) -> None:
    bed = cluster_bed("slow")
    bed.write(release)
    up = bed("up")
    assert up.status == 0, up.lines[-1:]
    running = bed.start("run", "--run-config", "seconds=4.0 num-server-rounds=4")
    bed.wait_for_round(2)
    secrets, seen = secrets_of(bed), seen_by_others(bed)
    assert {name.partition("/")[0] for name in secrets} == {
        *("test-authority", "test-superlink-tls", "test-control-client"),
        *("test-superexec", "test-supernode", "test-site-keys"),
    }
    assert any(b"flower-supernode" in text for place, text in seen.items() if place.endswith("cmdline"))
    assert b"--auth-supernode-private-key" in seen["objects"]
    assert shown(secrets, seen) == []
    assert shown(secrets, {"a leak": b"--secret=" + forms(secrets["test-superexec/secret"])[-1]}) != []

    before = bed.pods()["test-site-1"]
    bed.kubectl("delete", "pod", "test-site-1", "--force", "--grace-period=0")
    said = bed.finish(running)
    run = said.last("run")
    assert (said.status, run["verdict"] in ("succeeded", "degraded")) == (0, True), run
    assert [exchange["results"] for exchange in run["rounds"][-1]["exchanges"]] == [2, 2], run
    assert bed.pods()["test-site-1"] != before
    # The SuperLink counts the one that was killed as online for a while, and a run would ask it too.
    assert bed("run", "--run-config", "seconds=0.0 num-server-rounds=1").last("run")["verdict"] == "succeeded"
    assert bed("status").last("status")["nodes_online"] == 2


@pytest.mark.parametrize("release", RELEASES)
def test_certificates_rotate_in_a_run_and_a_revoked_supernode_is_out_until_it_is_let_in(
    cluster_bed: Make, release: str
) -> None:
    bed = cluster_bed("slow")
    bed.write(release)
    assert bed("up").status == 0
    assert bed("up", "--dry-run").last("diff")["changes"] is False
    before = {line["name"]: line["fingerprint"] for line in bed("trust", "show").lines if line["type"] == "certificate"}
    assert set(before) == {"ca", "superlink", "loopback", "control-client"}

    running = bed.start("run", *LONG_ROUND_2)
    bed.wait_until_both_train()
    rotated = bed("trust", "rotate")
    assert rotated.status == 0, rotated.lines[-1:]
    after = {line["name"]: line["fingerprint"] for line in rotated.lines if line["type"] == "certificate"}
    assert {name for name in before if before[name] != after[name]} == {"superlink", "control-client"}
    assert served(bed) == after["superlink"]
    bed.let_both_finish()
    said = bed.finish(running)
    assert (said.status, said.last("run")["verdict"]) == (0, "succeeded"), said.last("run")

    assert bed("node", "revoke", "site-1").status == 0
    bed.wait(lambda: nodes(bed)["site-1"] == "revoked" and online(bed) == 1, "the end of the revoked SuperNode")
    assert nodes(bed) == {"site-0": "online", "site-1": "revoked"}
    status = bed("status").last("status")
    assert (status["state"], status["nodes_expected"]) == ("ready", 1)
    bed.wait(lambda: "it was revoked" in bed.kubectl("logs", "test-site-1"), "a Pod that waits")

    assert bed("node", "add", "site-1").status == 0
    bed.wait(lambda: nodes(bed) == {"site-0": "online", "site-1": "online"}, "the return of the SuperNode")
    again = bed("run", "--run-config", "seconds=0.1 num-server-rounds=1").last("run")
    assert (again["verdict"], again["rounds"][0]["exchanges"][0]["results"]) == ("succeeded", 2)


def test_a_key_that_is_taken_back_while_the_superlink_is_away_is_out_when_it_is_back(cluster_bed: Make) -> None:
    bed = cluster_bed("slow")
    bed.write("1.42.0")
    assert bed("up").status == 0
    bed.kubectl("scale", "statefulset/test-superlink", "--replicas=0")
    bed.kubectl("wait", "--for=delete", "pod/test-superlink-0", "--timeout=120s")
    assert bed("node", "revoke", "site-1").status == 0

    bed.kubectl("scale", "statefulset/test-superlink", "--replicas=1")
    bed.kubectl("rollout", "status", "statefulset/test-superlink", "--timeout=180s")
    assert "[flowerbed: site-1 may join no more]" in bed.kubectl("logs", "test-superlink-0", "--container=superlink")
    bed.wait(lambda: nodes(bed) == {"site-0": "online", "site-1": "revoked"}, "the return of the other")


def nodes(bed: ClusterBed) -> dict[str, str]:
    return {line["name"]: line["state"] for line in bed("node", "list").lines if line.get("name")}


def online(bed: ClusterBed) -> int:
    return int(bed.status()["nodes_online"])


_FINGERPRINT = """\
import hashlib, socket, ssl, sys
plain = socket.create_connection(("test-superlink", int(sys.argv[1])), 10)
shown = ssl._create_unverified_context().wrap_socket(plain).getpeercert(True)
print(hashlib.sha256(shown).hexdigest())
"""


def served(bed: ClusterBed) -> str:
    """Return the fingerprint of the certificate that the SuperLink shows, asked from another Pod.

    A node knows a moment after everybody else where a Service's Pod is.
    """
    port = "8000" if "1.42" in (bed.folder / "federation.yaml").read_text() else "9092"
    said: list[str] = []

    def answers() -> bool:
        try:
            said.append(bed.kubectl("exec", "test-site-0", "--", "python", "-c", _FINGERPRINT, port).strip())
        except KubectlFailed as failure:
            if "ConnectionRefusedError" not in str(failure):
                raise
        return bool(said)

    bed.wait(answers, "an answer of the SuperLink")
    return said[0]
