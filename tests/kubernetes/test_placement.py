"""Where Pods may run: the file's words, the defaults of a pool, and what presets stand for."""

from __future__ import annotations

import pytest

from flowerbed.flower.releases import find
from flowerbed.kubernetes.manifests.run_job import run_job
from kubernetes.federations import Object, container, federation, rendered, workloads

EXACTING = """\
apiVersion: flowerbed.dev/v1alpha1
kind: Federation
metadata: {name: demo}
spec:
  layout: LAYOUT
  app: {image: "ghcr.io/example/app:1.0"}
  supernodes:
    - name: site
      replicas: 2
      gpus: {count: 2, preset: Thunderline}
      nodeSelector: {zone: north}
      tolerations: [{key: team, value: vision, effect: NoSchedule}]
      runtimeClassName: nvidia
      priorityClassName: research
      affinity:
        nodeAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
            nodeSelectorTerms: [{matchExpressions: [{key: cores, operator: Gt, values: ["7"]}]}]
        podAntiAffinity:
          preferredDuringSchedulingIgnoredDuringExecution:
            - weight: 10
              podAffinityTerm: {topologyKey: kubernetes.io/hostname, labelSelector: {}, namespaces: [batch]}
      topologySpreadConstraints:
        - topologyKey: topology.kubernetes.io/zone
          whenUnsatisfiable: DoNotSchedule
          minDomains: 2
          labelSelector: {matchLabels: {team: vision}}
    - name: other
      topologySpreadConstraints: []
  superlink: {nodeSelector: {disk: fast}}
  serverapp: {gpus: {resource: amd.com/gpu}, tolerations: [{operator: Exists}]}
"""

WHERE = (
    "nodeSelector",
    "tolerations",
    "affinity",
    "runtimeClassName",
    "priorityClassName",
    "topologySpreadConstraints",
)


def where(made: list[Object]) -> dict[str, Object]:
    """Return what each workload says of where its Pods may run."""
    specs = {item["metadata"]["name"]: item["spec"]["template"]["spec"] for item in workloads(made)}
    return {name: {key: spec[key] for key in WHERE if key in spec} for name, spec in specs.items()}


SITE = {
    "nodeSelector": {"accelerator": "nvidia", "zone": "north"},
    "tolerations": [
        {"key": "team", "value": "vision", "effect": "NoSchedule"},
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
    ],
    "affinity": {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [{"key": "cores", "operator": "Gt", "values": ["7"]}]}]
            }
        },
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {
                    "weight": 10,
                    "podAffinityTerm": {
                        "topologyKey": "kubernetes.io/hostname",
                        "labelSelector": {},
                        "namespaces": ["batch"],
                    },
                }
            ]
        },
    },
    "runtimeClassName": "nvidia",
    "priorityClassName": "research",
    "topologySpreadConstraints": [
        {
            "topologyKey": "topology.kubernetes.io/zone",
            "whenUnsatisfiable": "DoNotSchedule",
            "maxSkew": 1,
            "minDomains": 2,
            "labelSelector": {"matchLabels": {"team": "vision"}},
        }
    ],
}


def test_what_the_file_says_is_what_the_pods_have() -> None:
    assert where(rendered(EXACTING)) == {
        "demo-superlink": {"nodeSelector": {"disk": "fast"}},
        "demo-superexec-serverapp": {"tolerations": [{"operator": "Exists"}]},
        "demo-site": SITE,
        "demo-other": {},
    }


def test_gpus_are_limits() -> None:
    limits = {
        item["metadata"]["name"]: container(item)["resources"]["limits"] for item in workloads(rendered(EXACTING))
    }
    assert limits == {
        "demo-superlink": {"cpu": "1", "memory": "1Gi"},
        "demo-superexec-serverapp": {"cpu": "1", "memory": "1Gi", "amd.com/gpu": "1"},
        "demo-site": {"cpu": "1", "memory": "1Gi", "nvidia.com/gpu": "2"},
        "demo-other": {"cpu": "1", "memory": "1Gi"},
    }


def test_a_pool_is_spread_over_nodes_unless_the_file_says_otherwise() -> None:
    found = where(rendered(EXACTING.replace("      topologySpreadConstraints: []\n", "")))
    assert found["demo-other"] == {
        "topologySpreadConstraints": [
            {
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "maxSkew": 1,
                "labelSelector": {
                    "matchLabels": {
                        "app.kubernetes.io/instance": "demo",
                        "app.kubernetes.io/component": "supernode",
                        "flowerbed.dev/pool": "other",
                    }
                },
            }
        ]
    }


@pytest.mark.parametrize("said", ["{accelerator: amd}", "{zone: north}"])
def test_the_file_goes_before_a_preset(said: str) -> None:
    found = where(rendered(EXACTING.replace("{zone: north}", said)))["demo-site"]["nodeSelector"]
    assert found == ({"accelerator": "amd"} if "amd" in said else {"accelerator": "nvidia", "zone": "north"})


def test_a_toleration_of_a_preset_is_there_once() -> None:
    same = "[{key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}]"
    text = EXACTING.replace("[{key: team, value: vision, effect: NoSchedule}]", same)
    assert where(rendered(text))["demo-site"]["tolerations"] == [
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    ]


def test_quickstart_keeps_gpus_for_apps() -> None:
    made = rendered(EXACTING, "Quickstart")
    found = where(made)
    node = {key: value for key, value in SITE.items() if key not in ("nodeSelector", "tolerations")}
    team = [{"key": "team", "value": "vision", "effect": "NoSchedule"}]
    assert found["demo-superexec-clientapp-0"] == SITE
    assert found["demo-site-0"] == {"nodeSelector": {"zone": "north"}, "tolerations": team, **node}
    assert (found["demo-other-0"], found["demo-superexec-clientapp-2"]) == ({}, {})
    with_gpus = {
        item["metadata"]["name"]
        for item in workloads(made)
        if "nvidia.com/gpu" in container(item)["resources"]["limits"]
    }
    assert with_gpus == {"demo-superexec-clientapp-0", "demo-superexec-clientapp-1"}


SERVERAPP = """
apiVersion: flowerbed.dev/v1alpha1
kind: Federation
metadata: {name: demo, namespace: research}
spec:
  app: {image: example.org/app:1}
  supernodes: [{name: site}]
  serverapp:
    nodeSelector: {team: imaging}
    tolerations: [{key: team, operator: Exists}]
    gpus: {count: 1}
"""


def test_the_job_of_a_run_goes_where_the_serverapp_may() -> None:
    spec = federation(SERVERAPP).spec
    job = run_job("demo", "research", 1, find("1.42"), spec, config={}, baked=False)
    pod = job["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {"team": "imaging"}
    assert pod["tolerations"] == [{"key": "team", "operator": "Exists"}]
    assert "nvidia.com/gpu" not in pod["containers"][0]["resources"].get("limits", {})  # it only submits
