"""What is said of one Pod that does not get ready."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from flowerbed.kubernetes.reasons import Kind, Seen, problems
from kubernetes.seen_objects import (
    BORN,
    IMAGE,
    LATER,
    NOT_FOUND,
    READY,
    crash_loop,
    ended,
    event,
    kind_of,
    only,
    pod,
    running,
    said,
    unscheduled,
    waiting,
    workload,
)

NOW = datetime(2026, 11, 24, 15, 14, 10, tzinfo=UTC)


class TestImages:
    def test_one_that_does_not_exist(self) -> None:
        found = only(Seen(pods=[pod("a", waiting("ErrImagePull", NOT_FOUND))]))
        assert str(found) == f"a: the image {IMAGE} does not exist in its registry"
        assert found.fatal
        assert found.kind is Kind.IMAGE_MISSING
        assert found.container == "supernode"
        assert "spec.app.image" in str(found.hint)

    def test_backing_off_says_the_same(self) -> None:
        message = f'Back-off pulling image "{IMAGE}": ErrImagePull: {NOT_FOUND}'
        assert kind_of(pod("a", waiting("ImagePullBackOff", message))) == (Kind.IMAGE_MISSING, True)

    def test_older_kubelets_tell_the_cause_only_in_an_event(self) -> None:
        one = pod("a", waiting("ImagePullBackOff", f'Back-off pulling image "{IMAGE}"'))
        pull = event(one, "Failed", f'Failed to pull image "{IMAGE}": {NOT_FOUND}')
        error = event(one, "Failed", "Error: ImagePullBackOff")
        assert kind_of(one, events=(error, pull)) == (Kind.IMAGE_MISSING, True)
        assert kind_of(one) == (Kind.IMAGE_PULL, False)  # nothing is known yet

    @pytest.mark.parametrize(
        ("message", "kind", "fatal"),
        [
            (
                (
                    f'failed to resolve reference "{IMAGE}": pull access denied, repository does not exist or may'
                    " require authorization: server message: insufficient_scope: authorization failed"
                ),
                Kind.IMAGE_UNAUTHORIZED,
                True,
            ),
            (
                (
                    f'failed to resolve reference "{IMAGE}": failed to authorize: failed to fetch anonymous token:'
                    " unexpected status from GET request to https://ghcr.io/token: 401 Unauthorized"
                ),
                Kind.IMAGE_UNAUTHORIZED,
                True,
            ),
            (
                f'failed to pull and unpack image "{IMAGE}": no match for platform in manifest: not found',
                Kind.IMAGE_ARCHITECTURE,
                True,
            ),
            (
                (
                    'choosing image instance: no image found in image index for architecture "arm64", variant "v8", OS'
                    ' "linux"'
                ),
                Kind.IMAGE_ARCHITECTURE,
                True,
            ),
            (
                (
                    'failed to do request: Head "https://ghcr.io/v2/": dial tcp: lookup ghcr.io on 10.96.0.10:53:'
                    " no such host"
                ),
                Kind.REGISTRY_UNREACHABLE,
                True,
            ),
            (
                'failed to do request: Head "https://ghcr.io/v2/": dial tcp 10.0.0.1:443: connect: connection refused',
                Kind.REGISTRY_UNREACHABLE,
                False,
            ),
            (
                'failed to do request: Head "https://10.0.0.1/v2/": http: server gave HTTP response to HTTPS client',
                Kind.REGISTRY_UNREACHABLE,
                True,
            ),
            (
                (
                    'failed to do request: Head "https://x/v2/": tls: failed to verify certificate: x509: certificate'
                    " signed by unknown authority"
                ),
                Kind.REGISTRY_UNREACHABLE,
                True,
            ),
            (
                (
                    "failed to copy: httpReadSeeker: failed open: unexpected status code 429 Too Many Requests:"
                    " toomanyrequests: You have reached your pull rate limit"
                ),
                Kind.REGISTRY_UNREACHABLE,
                False,
            ),
            (
                "reading manifest 0.0.1 in ghcr.io/thunderblok/flower-superexec: manifest unknown",
                Kind.IMAGE_MISSING,
                True,
            ),
            ("write /var/lib/containerd/x: no space left on device", Kind.IMAGE_PULL, False),
            ("something that nobody has seen before", Kind.IMAGE_PULL, True),
        ],
    )
    def test_what_the_runtime_says_decides(self, message: str, kind: Kind, fatal: bool) -> None:
        assert kind_of(pod("a", waiting("ErrImagePull", message))) == (kind, fatal)

    def test_the_images_own_name_is_no_evidence(self) -> None:
        image = "registry.example/401/unauthorized:no-such-host"
        one = pod("a", waiting("ErrImagePull", f"{image}: not found"), container={"image": image})
        assert kind_of(one) == (Kind.IMAGE_MISSING, True)

    @pytest.mark.parametrize(
        ("reason", "kind"), [("InvalidImageName", Kind.IMAGE_NAME), ("ErrImageNeverPull", Kind.IMAGE_MISSING)]
    )
    def test_what_is_not_even_tried(self, reason: str, kind: Kind) -> None:
        assert kind_of(pod("a", waiting(reason, "whatever"))) == (kind, True)

    def test_the_same_trouble_of_many_pods_is_told_once(self) -> None:
        pods = [pod(f"flower-hospital-{n}", waiting("ErrImagePull", NOT_FOUND)) for n in range(3)]
        found = only(Seen(pods=pods))
        assert found.subject == "flower-hospital-0"
        assert found.others == ("flower-hospital-1", "flower-hospital-2")
        assert str(found).startswith("flower-hospital-0 (and 2 more): the image")


class TestScheduling:
    @pytest.mark.parametrize(
        ("message", "sentence"),
        [
            (
                (
                    "0/2 nodes are available: 2 Insufficient cpu. no new claims to deallocate, preemption: 0/2 nodes"
                    " are available: 2 Preemption is not helpful for scheduling."
                ),  # 1.34
                "no node can take it: not enough free cpu (it asks for 250m)",
            ),
            (
                (
                    "0/3 nodes are available: 1 Insufficient memory, 1 node(s) had untolerated taint {team: vision}, 1"
                    " node(s) didn't match Pod's node affinity/selector. preemption: 0/3 nodes are available: 3"
                    " Preemption is not helpful for scheduling.."
                ),  # 1.28
                (
                    "no node can take it: 1 of 3: not enough free memory (it asks for 512Mi); 1 of 3: the taint"
                    " team=vision, which it does not tolerate; 1 of 3: not the labels that it must have (nodeSelector)"
                ),
            ),
            (
                "0/2 nodes are available: 1 node(s) had untolerated taint(s), 1 node(s) were unschedulable.",
                "no node can take it: 1 of 2: taints that it does not tolerate; 1 of 2: cordoned off",
            ),
            (
                "0/1 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }.",
                "no node can take it: not ready",
            ),
            ("no nodes available to schedule pods", "the cluster has no nodes"),
            ("0/1 nodes are available: 1 Too many pods.", "no node can take it: as many Pods as there may be"),
            (
                "0/1 nodes are available: 1 Insufficient nvidia.com/gpu.",
                "no node can take it: not enough free nvidia.com/gpu",
            ),
            ("0/1 nodes are available: 1 node(s) had a bad day.", "no node can take it: had a bad day"),
            ("a scheduler of their own says no", "no node can take it: a scheduler of their own says no"),
        ],
    )
    def test_the_schedulers_sentence_in_plain_words(self, message: str, sentence: str) -> None:
        found = only(Seen(pods=[unscheduled(message)]))
        assert found.message == sentence
        assert (found.kind, found.fatal) == (Kind.UNSCHEDULABLE, True)

    def test_the_labels_that_no_node_has_are_named(self) -> None:
        said = "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector. preemption: 0/3 nodes"
        terms = [
            {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a", "b"]}]},
            {
                "matchExpressions": [
                    {"key": "gpus", "operator": "Gt", "values": ["3"]},
                    {"key": "ssd", "operator": "Exists"},
                ]
            },
        ]
        affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}
        spec = {"nodeSelector": {"accelerator": "nvidia"}, "affinity": affinity}
        found = only(Seen(pods=[unscheduled(said, spec=spec)]))
        assert found.message == (
            "no node can take it: not the labels that it must have"
            " (accelerator=nvidia, zone In a, b or gpus Gt 3 and ssd Exists)"
        )
        assert "nodeSelector, affinity or tolerations in the file" in str(found.hint)

    @pytest.mark.parametrize(
        ("part", "hint"),
        [
            ("1 Insufficient nvidia.com/gpu.", "`kubectl describe nodes` shows nvidia.com/gpu below Allocatable only"),
            ("1 Insufficient cpu.", "Lower the requests in the file's resources"),
            (
                "1 node(s) had untolerated taint {nvidia.com/gpu: present}.",
                "tolerations in the file, or label or untaint",
            ),
            (
                "1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }.",
                "each one's labels, taints and state",
            ),
        ],
    )
    def test_what_to_do_fits_what_is_in_the_way(self, part: str, hint: str) -> None:
        found = only(Seen(pods=[unscheduled(f"0/1 nodes are available: {part}")]))
        assert hint in str(found.hint)

    def test_gpus_that_are_asked_for_are_counted(self) -> None:
        asks = {"resources": {"requests": {"nvidia.com/gpu": "2"}, "limits": {"nvidia.com/gpu": "2"}}}
        found = only(
            Seen(pods=[unscheduled("0/1 nodes are available: 1 Insufficient nvidia.com/gpu.", container=asks)])
        )
        assert found.message == "no node can take it: not enough free nvidia.com/gpu (it asks for 2)"

    def test_an_autoscaler_makes_waiting_worth_while(self) -> None:
        one = unscheduled("0/1 nodes are available: 1 Insufficient cpu.")
        scaling = event(one, "TriggeredScaleUp", "pod triggered scale-up: [{group 1->2 (max: 5)}]", kind="Normal")
        found = only(Seen(pods=[one], events=[scaling]))
        assert not found.fatal
        assert "autoscaler" in found.message

    def test_room_that_our_own_pods_leave_is_worth_waiting_for(self) -> None:
        goes = pod("old", running())
        goes["metadata"]["deletionTimestamp"] = LATER
        full = unscheduled("0/1 nodes are available: 1 Insufficient cpu.")
        wrong = unscheduled("0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.")
        assert kind_of(goes, full) == (Kind.UNSCHEDULABLE, False)
        assert kind_of(goes, wrong) == (Kind.UNSCHEDULABLE, True)

    def test_a_pod_that_nobody_has_looked_at_yet_is_no_trouble(self) -> None:
        one = pod("a")
        del one["spec"]["nodeName"]
        one["status"] = {"phase": "Pending"}
        assert problems(Seen(pods=[one])) == []

    def test_a_gate(self) -> None:
        one = unscheduled("Scheduling is blocked due to non-empty scheduling gates")
        one["status"]["conditions"][0]["reason"] = "SchedulingGated"
        assert kind_of(one) == (Kind.UNSCHEDULABLE, False)


class TestConfiguration:
    @pytest.mark.parametrize(
        ("message", "sentence"),
        [
            ('secret "credentials" not found', "there is no Secret credentials in the namespace"),
            ('configmap "settings" not found', "there is no ConfigMap settings in the namespace"),
            ("couldn't find key token in Secret hospitals/credentials", "the Secret credentials has no key token"),
            ("couldn't find key mode in ConfigMap hospitals/settings", "the ConfigMap settings has no key mode"),
        ],
    )
    def test_environment(self, message: str, sentence: str) -> None:
        found = only(Seen(pods=[pod("a", waiting("CreateContainerConfigError", message))]))
        assert (found.message, found.kind, found.fatal) == (sentence, Kind.CONFIGURATION_MISSING, True)

    def test_volume(self) -> None:
        one = pod("a", waiting("ContainerCreating"))
        late = event(one, "FailedMount", 'MountVolume.SetUp failed for volume "v" : secret "credentials" not found')
        later = event(
            one,
            "FailedMount",
            'MountVolume.SetUp failed for volume "v" : timed out waiting for the condition',
            at="2026-11-24T15:15:00Z",
        )
        assert said(one, events=(late, later)) == "a: there is no Secret credentials in the namespace"

    def test_a_key_that_a_volume_asks_for(self) -> None:
        one = pod("a", waiting("ContainerCreating"))
        message = 'MountVolume.SetUp failed for volume "v" : configmap references non-existent config key: zz'
        assert kind_of(one, events=(event(one, "FailedMount", message),)) == (Kind.CONFIGURATION_MISSING, True)

    def test_a_path_on_the_node(self) -> None:
        one = pod("a", waiting("ContainerCreating"))
        message = 'MountVolume.SetUp failed for volume "v" : hostPath type check failed: /data/chest is not a directory'
        assert (
            said(one, events=(event(one, "FailedMount", message),)) == "a: /data/chest on its node is not a directory"
        )

    def test_a_mount_that_may_still_come(self) -> None:
        one = pod("a", waiting("ContainerCreating"))
        message = 'AttachVolume.Attach failed for volume "pvc-1" : volume is attached to another node'
        assert kind_of(one, events=(event(one, "FailedAttachVolume", message),)) == (Kind.MOUNT, False)

    def test_a_network_that_is_not_set_up(self) -> None:
        one = pod("a", waiting("ContainerCreating"))
        message = "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox"
        assert kind_of(one, events=(event(one, "FailedCreatePodSandBox", message),)) == (Kind.SANDBOX, False)

    def test_users(self) -> None:
        named = "container has runAsNonRoot and image has non-numeric user (app), cannot verify user is non-root"
        root = "container has runAsNonRoot and image will run as root"
        assert "names its user (app)" in said(pod("a", waiting("CreateContainerConfigError", named)))
        assert "runs as root" in said(pod("a", waiting("CreateContainerConfigError", root)))

    def test_being_made_is_no_trouble(self) -> None:
        assert problems(Seen(pods=[pod("a", waiting("ContainerCreating")), pod("b", waiting("PodInitializing"))])) == []


RUNC = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed:"
    " unable to start container process: "
)


class TestContainersThatDoNotStay:
    def test_crash_loop(self) -> None:
        found = only(Seen(pods=[pod("a", crash_loop(3))], logs={"a/supernode": "no such database"}))
        assert str(found) == "a: it ends again and again, with exit status 3"
        assert (found.kind, found.fatal, found.log) == (Kind.CRASH_LOOP, True, "no such database")

    def test_the_sentence_stays_the_same_from_crash_to_crash(self) -> None:
        """Whoever waits counts how long something is so."""
        alive = running(last=ended(3), restarts=5, started="2026-11-24T15:14:05Z")
        again = only(Seen(pods=[pod("a", alive, phase="Running")], now=NOW))
        assert again == only(Seen(pods=[pod("a", crash_loop(3))], now=NOW))

    def test_one_that_crashed_long_ago_and_runs_is_only_not_ready(self) -> None:
        alive = running(last=ended(3), restarts=5)
        later = NOW + timedelta(hours=5)
        found = only(Seen(pods=[pod("a", alive, phase="Running")], now=later))
        assert (found.kind, found.fatal) == (Kind.NOT_READY, False)

    def test_the_first_end_may_be_the_last(self) -> None:
        over = waiting("") | {"state": {"terminated": ended(1)}}
        assert kind_of(pod("a", over)) == (Kind.ENDED, False)

    def test_signals_have_names(self) -> None:
        assert said(pod("a", crash_loop(139))).endswith("exit status 139 (SIGSEGV)")
        assert said(pod("a", crash_loop(255))).endswith("exit status 255")

    def test_memory(self) -> None:
        found = only(Seen(pods=[pod("a", crash_loop(137, "OOMKilled"))]))
        assert found.message == "it is killed again and again for using more memory than its limit of 1Gi"
        assert found.hint == "Raise resources.limits.memory in the file."

    def test_liveness(self) -> None:
        one = pod("a", crash_loop(137))
        assert "liveness" in said(one, events=(event(one, "Unhealthy", "Liveness probe failed: "),))
        assert "startup" in said(one, events=(event(one, "Unhealthy", "Startup probe failed: HTTP"),))

    @pytest.mark.parametrize(
        ("message", "sentence"),
        [
            (RUNC + 'exec: "nosuch": executable file not found in $PATH: unknown', "its image has no program nosuch"),
            (
                RUNC + 'exec: "/flowerbed/x": stat /flowerbed/x: no such file or directory: unknown',
                "its image has no program /flowerbed/x",
            ),
            (
                RUNC + 'exec: "/etc/passwd": permission denied: unknown',
                "its image does not let /etc/passwd be executed",
            ),
            (
                RUNC + 'exec: "/x": exec format error: unknown',
                "the programs in its image are for another architecture than the node's",
            ),
            ("the moon is full", "its program cannot be started: the moon is full"),
        ],
    )
    def test_programs_that_cannot_be_executed(self, message: str, sentence: str) -> None:
        assert said(pod("a", crash_loop(128, "StartError", message))) == f"a: {sentence}"
        assert said(pod("a", waiting("RunContainerError", message))) == f"a: {sentence}"

    def test_a_wrong_architecture_shows_in_the_log(self) -> None:
        log = "exec /python/venv/bin/python: exec format error"
        found = only(Seen(pods=[pod("a", crash_loop(255))], logs={"a/supernode": log}))
        assert (found.kind, found.fatal) == (Kind.IMAGE_ARCHITECTURE, True)

    def test_an_init_container_is_named(self) -> None:
        init = crash_loop(7) | {"name": "prepare"}
        one = pod("a", waiting("PodInitializing"), spec={"initContainers": [{"name": "prepare"}]})
        one["status"]["initContainerStatuses"] = [init]
        assert said(one) == "a: it ends again and again, with exit status 7 (init container prepare)"


class TestPodsThatRun:
    def test_not_ready_is_not_fatal(self) -> None:
        one = pod("a", running(), phase="Running")
        message = 'Readiness probe failed: Get "http://10.244.0.17:9990/ready": dial tcp: connect: connection refused'
        silent = event(one, "Unhealthy", message)
        busy = event(one, "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")
        assert said(one) == "a: it runs, but is not ready yet"
        assert said(one, events=(silent,)) == "a: it runs, but is not ready yet (nothing answers its probe yet)"
        assert said(one, events=(busy,)) == "a: it runs, but is not ready yet (its probe is answered 503)"
        assert kind_of(one) == (Kind.NOT_READY, False)

    def test_ready_pods_are_no_trouble_whatever_happened_to_them(self) -> None:
        one = pod("a", running(last=ended(1), restarts=9), conditions=READY, phase="Running")
        assert problems(Seen(pods=[one], events=[event(one, "Unhealthy", "Readiness probe failed: x")])) == []

    def test_a_lost_node(self) -> None:
        lost = [{"type": "Ready", "status": "False"}, {"type": "ContainersReady", "status": "True"}]
        assert (
            said(pod("a", running(), conditions=lost, phase="Running")) == "a: its node node-0 does not answer any more"
        )

    def test_a_node_that_may_be_seen(self) -> None:
        state = {"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"}
        node = {"metadata": {"name": "node-0"}, "status": {"conditions": [state]}}
        assert only(Seen(pods=[pod("a", running(), phase="Running")], nodes=[node])).kind is Kind.NODE_LOST

    def test_evicted(self) -> None:
        message = "The node was low on resource: ephemeral-storage. Threshold quantity: 1Gi, available: 500Mi. "
        one = pod("a", phase="Failed", reason="Evicted", message=message)
        assert said(one) == "a: it was evicted, because its node was short of ephemeral-storage"

    def test_refused_by_its_node(self) -> None:
        one = pod("a", phase="Failed", reason="OutOfcpu", message="Pod was rejected")
        assert said(one) == "a: its node has too little cpu left for it"

    def test_one_that_failed_and_was_replaced_is_over(self) -> None:
        gone = pod("a", phase="Failed", reason="Evicted", owner="ReplicaSet")
        new = pod("b", conditions=READY, phase="Running", owner="ReplicaSet")
        assert problems(Seen(pods=[gone, new], replicasets=[workload("ReplicaSet", replicas=1)])) == []

    def test_pods_of_an_earlier_rollout_do_not_count(self) -> None:
        one = pod("a", crash_loop(1), owner="ReplicaSet")
        assert problems(Seen(pods=[one], replicasets=[workload("ReplicaSet", replicas=0)])) == []

    def test_stuck_on_its_way_out(self) -> None:
        one = pod("a", running(), phase="Running")
        one["metadata"]["deletionTimestamp"] = BORN
        assert problems(Seen(pods=[one], now=NOW - timedelta(minutes=2))) == []
        assert only(Seen(pods=[one], now=NOW)).kind is Kind.TERMINATING
        one["metadata"]["finalizers"] = ["example.com/keep"]
        assert "held by example.com/keep" in str(only(Seen(pods=[one], now=NOW)))

    def test_succeeded(self) -> None:
        assert problems(Seen(pods=[pod("a", phase="Succeeded")])) == []


class TestAnEarlierSpec:
    def seen(self, policy: str) -> Seen:
        """A Pod with a missing image; the StatefulSet has a newer spec by now."""
        pool = workload("StatefulSet", updateRevision="superlink-2")
        pool["spec"]["podManagementPolicy"] = policy
        labels = {"controller-revision-hash": "superlink-1"}
        one = pod("flower-superlink-0", waiting("ErrImagePull", "not found"), labels=labels)
        return Seen(pods=[one], statefulsets=[pool])

    def test_a_set_in_order_waits_for_the_broken_pod_for_ever(self) -> None:
        found = only(self.seen("OrderedReady"))
        assert found.fatal
        assert "kubectl delete pod -n hospitals flower-superlink-0" in str(found.hint)

    def test_a_parallel_one_replaces_it(self) -> None:
        assert not only(self.seen("Parallel")).fatal
