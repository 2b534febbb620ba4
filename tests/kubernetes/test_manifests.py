"""What a federation comes to on Kubernetes: written out once in full, and the rules that hold for every federation."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from flowerbed.errors import UsageError
from flowerbed.flower.releases import RELEASES, find
from flowerbed.kubernetes import labels
from flowerbed.kubernetes.manifests import programs, proxy
from flowerbed.kubernetes.manifests.certificate import superlink_names
from flowerbed.kubernetes.manifests.identity import Identity
from flowerbed.kubernetes.manifests.images import image_missing
from flowerbed.kubernetes.manifests.objects import objects
from flowerbed.kubernetes.manifests.places import ANYWHERE
from flowerbed.spec.model import API_VERSION, KIND, App, Federation, FederationSpec, Layout, Metadata, SuperNodePool
from flowerbed.topology.build import build
from flowerbed_inside import bundles
from kubernetes.federations import FULL, SMALL, Object, container, containers, federation, named, rendered, workloads

GOLDEN = Path(__file__).parent / "golden" / "colocated.yaml"


def test_a_federation_written_out_in_full() -> None:
    expected = {named(item): item for item in yaml.safe_load_all(GOLDEN.read_text(encoding="utf-8"))}
    made = copy.deepcopy(rendered(FULL))
    for item in made:
        if item["kind"] == "ConfigMap":
            item["data"] = dict.fromkeys(item["data"], "…")
        for template in [item["spec"]["template"]] if "template" in item.get("spec", {}) else []:
            assert template["metadata"]["annotations"]["flowerbed.dev/programs"] == programs.digest()
            assert template["metadata"]["annotations"].keys() <= {"flowerbed.dev/programs", "flowerbed.dev/proxy"}
            template["metadata"]["annotations"] = dict.fromkeys(template["metadata"]["annotations"], "DIGEST")
    assert [named(item) for item in made] == list(expected)
    for item in made:
        assert item == expected[named(item)]


@pytest.mark.parametrize("release", ["1.22", "1.42"])
def test_the_proxy_is_told_in_full(release: str) -> None:
    made = rendered(FULL, flower=release)
    (config,) = [item for item in made if item["kind"] == "ConfigMap" and item["metadata"]["name"].endswith("-proxy")]
    assert config["data"]["nginx.conf"] == GOLDEN.with_name(f"nginx-{release}.conf").read_text(encoding="utf-8")


def test_a_forwarder_calls_the_superlink_by_the_name_in_its_certificate() -> None:
    demo = federation(SMALL)
    for release, word in (("1.22", "grpc_pass grpcs"), ("1.42", "proxy_pass https")):
        row = find(release)
        identity = Identity.of(demo, row, "research")
        text = proxy.forwarder(demo, row, identity)
        assert f"{word}://demo-superlink.research.svc:9093;" in text
        (name,) = re.findall(r"_ssl_name (\S+);", text)
        assert name in superlink_names(demo, identity.namespace)
        assert re.findall(r"listen (\S+?)[ ;]", text) == ["127.0.0.1:9093"]


def test_another_configuration_of_the_proxy_rolls_its_pod() -> None:
    found = set()
    for release in ("1.22", "1.31", "1.42"):
        (item,) = [item for item in workloads(rendered(SMALL, flower=release)) if named(item).endswith("-superlink")]
        found.add(item["spec"]["template"]["metadata"]["annotations"]["flowerbed.dev/proxy"])
    assert len(found) == 3


@pytest.mark.parametrize("security", ["{controlApi: Open}", "{tls: {mode: Disabled}}"])
def test_without_the_proxy_the_superlink_has_its_ports_itself(security: str) -> None:
    made = rendered(SMALL.replace("spec:", f"spec:\n  security: {security}"))
    assert not [item for item in made if item["metadata"]["name"].endswith("-proxy")]
    (superlink,) = [item for item in workloads(made) if named(item).endswith("-superlink")]
    assert [one["name"] for one in containers(superlink)] == ["superlink"]
    assert ANYWHERE in container(superlink)["args"]
    (service,) = [item for item in made if item["kind"] == "Service"]
    assert [(port["name"], port["port"]) for port in service["spec"]["ports"]] == [("api", 8000)]


@pytest.mark.parametrize("release", [str(row.minor) for row in RELEASES])
def test_the_superlink_is_on_loopback_behind_the_proxy(release: str) -> None:
    made = rendered(SMALL, flower=release)
    (superlink,) = [item for item in workloads(made) if named(item).endswith("-superlink")]
    one, before = containers(superlink)
    assert [port["name"] for port in one["ports"]] == ["health"]
    assert ANYWHERE not in " ".join(one["args"])
    listened = {int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", " ".join(one["args"]))}
    listened |= {int(one["args"][at + 1]) for at, word in enumerate(one["args"]) if word == "--port"}
    (config,) = [item for item in made if item["kind"] == "ConfigMap" and item["metadata"]["name"] == "demo-proxy"]
    text = config["data"]["nginx.conf"]
    assert {int(port) for port in re.findall(r"_pass \w+://127\.0\.0\.1:(\d+);", text)} == listened
    doors = {int(port) for port in re.findall(r"listen 0\.0\.0\.0:(\d+)", text)}
    assert doors == {port["containerPort"] for port in before["ports"]}
    assert not doors & listened


def arguments(made: list[Object], name: str) -> list[str]:
    (item,) = [item for item in workloads(made) if item["metadata"]["name"] == name]
    return list(container(item)["args"])


TRUST = "/flowerbed-trust"
AUTHORITY = f"{TRUST}/authority/ca.crt"


def test_1_22_is_told_what_it_wants() -> None:
    made = rendered(SMALL, flower="1.22")
    (service,) = [item for item in made if item["kind"] == "Service"]
    assert [(port["name"], port["port"]) for port in service["spec"]["ports"]] == [
        ("runtime", 9091),
        ("fleet", 9092),
        ("control", 9093),
    ]
    assert " ".join(arguments(made, "demo-superlink")) == (
        "--health-port 9990 --make-folder /data/1.22 --ready-request grpc122:19093 --ready-within 600"
        f" --root-certificates {AUTHORITY} --end-when-changed {TRUST}/superlink/tls.crt"
        f" --register-nodes {TRUST}/nodes/nodes.json --dismiss-nodes {TRUST}/nodes/revoked.json"
        " --database /data/1.22/state.db"
        f" -- superlink flower-superlink --ssl-ca-certfile {AUTHORITY} --ssl-certfile {TRUST}/superlink/tls.crt"
        f" --ssl-keyfile {TRUST}/superlink/tls.key --auth-list-public-keys {TRUST}/nodes/nodes.csv --isolation process"
        " --serverappio-api-address 127.0.0.1:19091 --fleet-api-address 127.0.0.1:19092"
        " --control-api-address 127.0.0.1:19093"
        " --database /data/1.22/state.db --storage-dir /data/1.22/fabs"
    )
    assert " ".join(arguments(made, "demo-superexec-serverapp")) == (
        "--health-port 9990 --wait-for superexec=demo-superlink:9091 --ready-connected superexec=demo-superlink:9091"
        " -- superexec flower-superexec --insecure --plugin-type serverapp --appio-api-address demo-superlink:9091"
    )
    *_, supernode = " ".join(arguments(made, "demo-site")).partition("--wait-for")
    assert supernode == (
        " supernode=demo-superlink:9092 --wait-for superexec=127.0.0.1:9094"
        " --ready-connected supernode=demo-superlink:9092 --ready-connected superexec=127.0.0.1:9094"
        f" -- supernode env FLWR_HOME=/tmp/flwr/supernode flower-supernode --root-certificates {AUTHORITY}"
        " --auth-supernode-private-key /tmp/flowerbed-node/key --auth-supernode-public-key /tmp/flowerbed-node/key.pub"
        " --isolation process"
        " --superlink demo-superlink:9092 --clientappio-api-address 127.0.0.1:9094"
        " --node-config partition-id={partition-id} num-partitions=2"
        " -- superexec env FLWR_HOME=/tmp/flwr/superexec flower-superexec --insecure --plugin-type clientapp"
        " --appio-api-address 127.0.0.1:9094"
    )


# Every Pod, of every variant, with every release.

VARIANTS = [pytest.param(text, id=name) for name, text in (("small", SMALL), ("full", FULL))]
EVERY_RELEASE = [str(row.minor) for row in RELEASES]


@pytest.mark.parametrize("text", VARIANTS)
@pytest.mark.parametrize("release", EVERY_RELEASE)
def test_every_pod_passes_pod_security_restricted(text: str, release: str) -> None:
    """The fields of kubernetes.io/docs/concepts/security/pod-security-standards, restricted, read in turn."""
    text = re.sub(r"hostPath: \{[^}]*\}", "emptyDir: {}", text)  # the user's own choice, and documented as such
    for item in workloads(rendered(text, flower=release)):
        spec = item["spec"]["template"]["spec"]
        assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers", "ephemeralContainers"} & spec.keys()
        pod = spec["securityContext"]
        assert (pod["runAsNonRoot"], pod["runAsUser"] > 0) == (True, True)
        assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
        for own in (one["securityContext"] for one in containers(item)):
            assert own["allowPrivilegeEscalation"] is False
            assert own["capabilities"] == {"drop": ["ALL"]}
            assert not {"privileged", "procMount", "seLinuxOptions", "windowsOptions"} & own.keys()
        allowed = {
            "configMap",
            "emptyDir",
            "secret",
            "persistentVolumeClaim",
            "downwardAPI",
            "csi",
            "ephemeral",
            "projected",
        }
        assert all((volume.keys() - {"name"}) <= allowed for volume in spec["volumes"])
        assert all("hostPort" not in port for one in containers(item) for port in one["ports"])


@pytest.mark.parametrize("text", VARIANTS)
@pytest.mark.parametrize("release", ["1.22", "1.31", "1.36", "1.42"])
def test_every_pod_is_held_to_what_it_needs(text: str, release: str) -> None:
    for item in workloads(rendered(text, flower=release)):
        spec, one = item["spec"]["template"]["spec"], container(item)
        assert all(each["securityContext"]["readOnlyRootFilesystem"] is True for each in containers(item))
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        for kind in ("requests", "limits"):
            assert all({"cpu", "memory"} <= each["resources"][kind].keys() for each in containers(item))
        environment = {entry["name"]: entry["value"] for entry in one["env"] if "value" in entry}
        assert environment["FLWR_TELEMETRY_ENABLED"] == "0"
        assert environment["FLWR_DISABLE_UPDATE_CHECK"] == "1"
        mounted = {mount["name"]: mount["mountPath"] for mount in one["volumeMounts"]}
        there = {volume["name"] for volume in spec["volumes"]}
        there |= {claim["metadata"]["name"] for claim in item["spec"].get("volumeClaimTemplates", [])}
        beside = {mount["name"] for each in containers(item)[1:] for mount in each["volumeMounts"]}
        assert mounted.keys() | beside == there
        assert {name for name in beside if name not in mounted} <= {"flowerbed-proxy", "flowerbed-proxy-scratch"}
        writable = {mount["mountPath"] for mount in one["volumeMounts"] if not mount.get("readOnly")}
        written = set(
            re.findall(r"(/(?:data|tmp|results))\b", " ".join(map(str, [*one["args"], *environment.values()])))
        )
        assert written <= writable


@pytest.mark.parametrize("layout", ["Colocated", "Quickstart"])
@pytest.mark.parametrize("text", VARIANTS)
def test_selectors_find_exactly_their_pods(text: str, layout: str) -> None:
    made = rendered(text, layout)
    pods = {named(item): item["spec"]["template"]["metadata"]["labels"] for item in workloads(made)}
    for item in made:
        spec = item.get("spec", {})
        selector = spec["selector"].get("matchLabels", spec["selector"]) if "selector" in spec else None
        if selector is None:
            continue
        found = [name for name, has in pods.items() if selector.items() <= has.items()]
        wanted = named(item) if "template" in spec else None
        same = [name for name in pods if name.split("/")[1] == item["metadata"]["name"]]
        assert found == ([wanted] if wanted else same)
        assert not {labels.VERSION, labels.MANAGED_BY} & selector.keys()  # they change, and a selector cannot


def test_everything_is_labelled() -> None:
    for item in rendered(FULL):
        said = item["metadata"]["labels"]
        assert said["example.org/team"] == "imaging"
        assert said[labels.MANAGED_BY] == "flowerbed"
        if item["kind"] != "Namespace":
            assert (said[labels.INSTANCE], said[labels.PART_OF]) == ("chest-study", "chest-study")
            assert (said[labels.NAME], said[labels.VERSION]) == ("flower", "1.42.0")
    components = {item["metadata"]["labels"].get(labels.COMPONENT) for item in rendered(FULL)}
    assert components == {None, "superlink", "superexec-serverapp", "supernode"}


@pytest.mark.parametrize("release", EVERY_RELEASE)
def test_only_what_is_dialled_has_a_service_and_it_has_the_ports(release: str) -> None:
    made = rendered(SMALL, flower=release)
    (service,) = [item for item in made if item["kind"] == "Service"]
    offered = {f"demo-superlink:{port['port']}" for port in service["spec"]["ports"]}
    words = [word for item in workloads(made) for word in container(item)["args"]]
    dialled = {found for word in words for found in re.findall(r"demo-superlink:\d+", word)}
    assert dialled
    assert dialled <= offered
    (superlink,) = [item for item in workloads(made) if item["metadata"]["name"] == "demo-superlink"]
    named_ports = {port["name"]: port["containerPort"] for one in containers(superlink) for port in one["ports"]}
    assert {port["targetPort"]: port["port"] for port in service["spec"]["ports"]}.items() <= named_ports.items()


# Pools.


def test_partition_ids_are_those_of_the_local_runtime() -> None:
    text = SMALL.replace(
        "[{name: site, replicas: 2}]", "[{name: a, replicas: 3}, {name: b}, {name: c, replicas: 2, nodeConfig: {x: 1}}]"
    )
    found = federation(text)
    row = find("1.42")
    local = [
        component.arguments[component.arguments.index("--node-config") + 1]
        for component in build(found, row.contract, row.minor).supernodes
    ]
    here = []
    for item in workloads(objects(found, row)):
        if item["metadata"]["labels"][labels.COMPONENT] != "supernode":
            continue
        words = container(item)["args"]
        first = int(words[words.index("--first-partition") + 1])
        config = words[words.index("--node-config") + 1]
        here += [config.replace("{partition-id}", str(first + ordinal)) for ordinal in range(item["spec"]["replicas"])]
    assert here == local


NAMES = st.from_regex(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?", fullmatch=True)


@settings(max_examples=60)
@given(NAMES, st.lists(st.tuples(NAMES, st.integers(1, 3)), min_size=1, max_size=3), st.sampled_from(list(Layout)))
def test_every_name_fits(name: str, pools: list[tuple[str, int]], layout: Layout) -> None:
    """Names become labels of at most 63 characters; a StatefulSet's with eleven more, for its Pods' revision."""
    try:
        spec = FederationSpec(
            layout=layout,
            app=App(image="example/app"),
            supernodes=tuple(SuperNodePool(name=pool, replicas=replicas) for pool, replicas in pools),
        )
        found = Federation(api_version=API_VERSION, kind=KIND, metadata=Metadata(name=name), spec=spec)
    except ValueError:
        return  # too long together, or twice: the file is refused
    made = objects(found, find("1.42"))
    assert len({named(item) for item in made}) == len(made)
    for item in made:
        length = len(item["metadata"]["name"])
        longest = {"StatefulSet": 63 - 11, "ConfigMap": 253, "PersistentVolumeClaim": 253}.get(item["kind"], 63)
        assert length <= longest, item["metadata"]["name"]
        if item["kind"] == "StatefulSet":
            assert length + len(f"-{item['spec']['replicas'] - 1}") <= 63
        for value in item["metadata"]["labels"].values():
            assert len(value) <= 63


# What the file says.


def test_an_image_is_needed() -> None:
    bare = federation(SMALL.replace('  app: {image: "ghcr.io/example/app:1.0"}\n', ""))
    assert [finding.path for finding in image_missing(bare)] == [("spec", "app", "image")]
    with pytest.raises(UsageError, match=r"spec\.app\.image is needed on Kubernetes"):
        objects(bare, find("1.42"))
    assert image_missing(federation(SMALL)) == []


def test_the_namespace_is_the_files_or_the_callers() -> None:
    assert {item["metadata"].get("namespace") for item in rendered(SMALL)} == {None}
    assert "Namespace" not in {item["kind"] for item in rendered(SMALL)}
    elsewhere = objects(federation(FULL), find("1.42"), namespace="elsewhere")
    assert {item["metadata"]["namespace"] for item in elsewhere} == {"elsewhere"}
    assert "Namespace" not in {item["kind"] for item in elsewhere}


def test_the_namespace_enforces_what_the_pods_keep_to() -> None:
    text = SMALL.replace("{name: demo}", "{name: demo, namespace: research}")
    ours = {labels.MANAGED_BY: "flowerbed", "pod-security.kubernetes.io/enforce": "restricted"}
    assert rendered(text)[0]["metadata"] == {"name": "research", "labels": ours}
    assert rendered(text, "Quickstart")[0]["metadata"] == {"name": "research"}
    assert "pod-security.kubernetes.io/enforce" not in rendered(FULL)[0]["metadata"]["labels"]  # it has a hostPath


def test_a_drain_waits_for_the_servers_side_unless_the_file_lets_it_go_on() -> None:
    def budgets(text: str) -> dict[str, int]:
        found = [item for item in rendered(text) if item["kind"] == "PodDisruptionBudget"]
        return {item["metadata"]["name"]: item["spec"]["maxUnavailable"] for item in found}

    assert budgets(SMALL) == {"demo-superlink": 0, "demo-superexec-serverapp": 0, "demo-site": 1}
    assert budgets(SMALL.replace("spec:", "spec:\n  nodeDrain: Wait")) == budgets(SMALL)
    assert budgets(SMALL.replace("spec:", "spec:\n  nodeDrain: Proceed")) == {"demo-site": 1}
    assert "PodDisruptionBudget" not in {item["kind"] for item in rendered(SMALL, "Quickstart")}


@pytest.mark.parametrize(("text", "grace", "finish"), [("", 30, 0), ("600", 600, 570), ("31", 31, 1), ("30", 30, 0)])
def test_a_supernode_has_time_to_reply_if_it_is_given_and_everybody_30_seconds_to_end(
    text: str, grace: int, finish: int
) -> None:
    given = f", terminationGracePeriodSeconds: {text}" if text else ""
    made = rendered(SMALL.replace("{name: site", "{name: site" + given))
    found = {
        item["metadata"]["name"]: item["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        for item in workloads(made)
    }
    assert found == {"demo-superlink": 30, "demo-superexec-serverapp": 30, "demo-site": grace}
    said = " ".join(arguments(made, "demo-site")).partition(" -- ")[0]
    assert re.findall(r"--finish (\d+)", said) == ([str(finish)] if finish else [])


def test_only_what_waits_for_nobody_is_started_again_when_it_does_not_get_ready() -> None:
    made = rendered(SMALL)
    names = [item["metadata"]["name"] for item in workloads(made)]
    assert [name for name in names if "--ready-within" in arguments(made, name)] == ["demo-superlink"]


def test_results_go_to_a_claim_that_is_there() -> None:
    text = SMALL.replace("spec:\n", "spec:\n  serverapp: {results: {claimName: kept}}\n", 1)
    made = rendered(text)
    assert "PersistentVolumeClaim" not in {item["kind"] for item in made}
    (serverapp,) = [item for item in workloads(made) if item["kind"] == "Deployment"]
    assert {"name": "flowerbed-results", "persistentVolumeClaim": {"claimName": "kept"}} in serverapp["spec"][
        "template"
    ]["spec"]["volumes"]


def test_quickstart_takes_what_the_file_says_too() -> None:
    made = {named(item): item for item in rendered(FULL, "Quickstart")}
    node, app = made["Deployment/chest-study-hospital-1"], made["Deployment/chest-study-superexec-clientapp-1"]
    assert container(node)["env"][-1] == {"name": "PRICE", "value": "$$(DATA_FOLDER)"}
    assert "volumeMounts" not in container(node)  # the data is the app's
    assert [mount["mountPath"] for mount in container(app)["volumeMounts"]] == ["/srv/chest", "/dev/shm"]
    assert container(app)["envFrom"] == [{"secretRef": {"name": "hospital-keys"}}]
    assert container(app)["resources"]["limits"]["memory"] == "4Gi"
    assert app["metadata"]["labels"] == {
        "example.org/team": "imaging",
        "app": "chest-study-superexec-clientapp-1",
    }
    assert {container(item).get("imagePullPolicy") for item in workloads(list(made.values()))} == {"Always"}
    assert "ConfigMap" not in {item["kind"] for item in made.values()}


# Our programs.


def test_the_pods_have_all_programs_and_no_text_twice() -> None:
    config_maps = {
        item["metadata"]["name"]: item["data"] for item in rendered(SMALL) if "-programs" in item["metadata"]["name"]
    }
    assert set(config_maps) == {
        f"demo-programs-{room}" for room in ("shared", "control", "launch", "levers", "submit", "unit")
    }
    mounted = mounted_programs(config_maps)
    assert set(mounted) == {
        *bundles.bundle(bundles.UNIT, bundles.SUBMIT, bundles.LAUNCH),
        *(f"bin/{name}" for name in bundles.LAUNCHED),
    }
    for name in bundles.LAUNCHED:
        assert mounted[f"bin/{name}"] == "#!/usr/bin/env python\n" + bundles.LAUNCHER.read_text(encoding="utf-8")
    texts = [text for data in config_maps.values() for text in data.values()]
    assert len(texts) == len(set(texts))


def test_kubectl_can_apply_each_config_map_with_programs() -> None:
    for item in [item for item in rendered(SMALL) if "-programs-" in item["metadata"]["name"]]:
        # It keeps a copy in an annotation of at most 256 KiB; half of that leaves room for what a room becomes.
        assert len(json.dumps(item).encode()) < 128 * 1024, item["metadata"]["name"]


def mounted_programs(config_maps: dict[str, dict[str, str]]) -> dict[str, str]:
    """Return what is where in the volume of the programs."""
    found = {}
    for source in programs.volume("demo")["projected"]["sources"]:
        data = config_maps[source["configMap"]["name"]]
        for item in source["configMap"]["items"]:
            assert item["path"] not in found
            found[item["path"]] = data[item["key"]]
    return found
