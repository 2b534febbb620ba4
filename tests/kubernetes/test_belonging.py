"""A federation is found whoever has applied it, also one that an earlier Flowerbed made; and it is known who did."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from flowerbed.errors import ClusterForbidden
from flowerbed.kubernetes import belonging, living, managers
from flowerbed.kubernetes.belonging import Belongings
from flowerbed.kubernetes.drift import changes, differences, yielding
from flowerbed.kubernetes.labels import FEDERATION, INSTANCE, MANAGED_BY
from flowerbed.kubernetes.managers import Theirs
from kubernetes.federations import FULL, Object, named, rendered, workloads

NAME = "chest-study"
EARLIER = Path(__file__).parent / "samples" / "earlier.yaml"


def earlier() -> list[Object]:
    """Return objects of the version before the label of ours, as they lived."""
    return [by(item, "flowerbed", "Apply") for item in yaml.safe_load_all(EARLIER.read_text(encoding="utf-8"))]


def by(item: Object, manager: str, operation: str = "Update") -> Object:
    """Return an object as a field manager has set it."""
    made = copy.deepcopy(item)
    fields = {"manager": manager, "operation": operation, "fieldsV1": {"f:spec": {}}}
    made["metadata"] |= {"uid": f"uid-of-{named(item)}", "managedFields": [fields]}
    return made


def marked(item: Object, manager: str, operation: str, labels: Object, annotations: Object) -> Object:
    made = by(item, manager, operation)
    made["metadata"]["labels"] |= labels
    made["metadata"]["annotations"] = {**made["metadata"].get("annotations", {}), **annotations}
    return made


def helm(item: Object) -> Object:
    """Do what Helm does: helm.sh/helm, pkg/action/validate.go; since Helm 4 it applies server-side."""
    annotations = {"meta.helm.sh/release-name": "study", "meta.helm.sh/release-namespace": "releases"}
    return marked(item, "helm", "Apply", {MANAGED_BY: "Helm", "helm.sh/chart": "chest-study-0.1.0"}, annotations)


def argo_by_label(item: Object) -> Object:
    """Do what Argo CD before 3.0 does: argo-cd.readthedocs.io, release 2.9, "Resource Tracking"."""
    return marked(item, "argocd-controller", "Update", {INSTANCE: "studies-in-production"}, {})


def argo(item: Object) -> Object:
    """Do what Argo CD does by default: argo-cd.readthedocs.io, release 3.3, "Resource Tracking"."""
    track = f"studies:{item['kind']}:research/{item['metadata']['name']}"
    return marked(item, "argocd-controller", "Apply", {}, {"argocd.argoproj.io/tracking-id": track})


def flux(item: Object) -> Object:
    """Do what Flux's kustomize-controller does: fluxcd.io, "Kustomization"."""
    marks = {"kustomize.toolkit.fluxcd.io/name": "studies", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}
    return marked(item, "kustomize-controller", "Apply", marks, {})


def flux_by_helm(item: Object) -> Object:
    """Do what Flux's helm-controller does: fluxcd/helm-controller#238, beside what Helm does."""
    marks = {"helm.toolkit.fluxcd.io/name": "study", "helm.toolkit.fluxcd.io/namespace": "research"}
    done = helm(item)
    done["metadata"]["labels"] |= marks
    done["metadata"]["managedFields"][0]["manager"] = "helm-controller"
    return done


def kubectl(item: Object) -> Object:
    """Do what `kubectl apply --kustomize` does: kubernetes.io, "Server-Side Apply"."""
    return marked(item, "kubectl-client-side-apply", "Update", {"environment": "production"}, {})


def flowerbed(item: Object) -> Object:
    return by(item, "flowerbed", "Apply")


WAYS: dict[Callable[[Object], Object], str | None] = {
    flowerbed: None,
    helm: "Helm's release releases/study",
    argo_by_label: "Argo CD's application studies-in-production",
    argo: "Argo CD's application studies",
    flux: "Flux's Kustomization flux-system/studies",
    flux_by_helm: "Flux's HelmRelease research/study",
    kubectl: "kubectl",
}
way = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)


def made_by(owner: Object, name: str, kind: str = "Pod") -> Object:
    """Return what a controller makes from a workload's template."""
    template = owner["spec"]["template"]
    reference = {"kind": owner["kind"], "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}
    return {
        "kind": kind,
        "metadata": {
            "name": name,
            "uid": f"uid-of-{kind}/{name}",
            "labels": {**template["metadata"]["labels"], "pod-template-hash": "5d"},
            "ownerReferences": [{**reference, "controller": True}],
        },
        "spec": {"template": template, "containers": [{"name": "c"}]},
    }


def cluster_of(objects: list[Object]) -> dict[str, list[Object]]:
    """Return a namespace as its controllers fill it."""
    found: dict[str, list[Object]] = {"StatefulSet": [], "Deployment": [], "ReplicaSet": [], "Pod": []}
    for item in objects:
        found.setdefault(item["kind"], []).append(item)
    for item in found["StatefulSet"]:
        found["Pod"].append(made_by(item, f"{item['metadata']['name']}-0"))
    for item in found["Deployment"]:
        made = made_by(item, f"{item['metadata']['name']}-5d", "ReplicaSet")
        found["ReplicaSet"].append(made)
        found["Pod"].append(made_by(made, f"{made['metadata']['name']}-x"))
    return found


def find(there: dict[str, list[Object]], *, forbidden: str = "", name: str = NAME) -> Belongings:
    def listing(kind: str, namespace: str, *, labels: Any = None) -> list[Object]:
        if kind == forbidden:
            raise ClusterForbidden("no", role=[])
        wanted = (labels or {}).items()
        return [item for item in there[kind] if wanted <= item["metadata"]["labels"].items()]

    return belonging.find(listing, "research", name)


PODS = {
    "chest-study-superlink-0",
    "chest-study-superexec-serverapp-5d-x",
    "chest-study-hospital-0",
    "chest-study-clinic-0",
}


@way
def test_it_is_found_whoever_applied_it(way: Callable[[Object], Object]) -> None:
    there = cluster_of([way(item) for item in rendered(FULL)])
    found = find(there)
    assert {living.name(item) for item in found.workloads} == {
        pod.rpartition("-")[0].removesuffix("-5d") for pod in PODS
    }
    assert {living.name(pod) for pod in found.pods} == PODS
    assert living.read(NAME, "research", found.workloads, found.pods, found.others).strangers == ""
    who = managers.manager(found.workloads[0])
    assert (who.said if who else None) == WAYS[way]


def test_one_that_an_earlier_flowerbed_made_is_found_too() -> None:
    there = cluster_of(earlier())
    assert {living.name(pod) for pod in find(there).pods} == PODS
    listed = belonging.listed(
        lambda kind, _, labels: [one for one in there[kind] if labels.items() <= one["metadata"]["labels"].items()],
        "PersistentVolumeClaim",
        "research",
        NAME,
    )
    assert [living.name(item) for item in listed] == ["chest-study-results"]


def test_nothing_of_it_starts_again_for_the_label() -> None:
    """What a workload cannot change, or what it starts its Pods again for, is as it was; claims are found by it."""
    now = {named(item): item for item in rendered(FULL)}
    seen = 0
    for before in workloads(earlier()):
        spec, labels = now[named(before)]["spec"], before["metadata"]["labels"]
        assert {**labels, FEDERATION: NAME} == now[named(before)]["metadata"]["labels"]
        assert spec["selector"] == before["spec"]["selector"]
        assert spec["template"]["metadata"]["labels"] == before["spec"]["template"]["metadata"]["labels"]
        assert spec.get("volumeClaimTemplates") == before["spec"].get("volumeClaimTemplates")
        for claim in spec.get("volumeClaimTemplates", []):
            assert belonging.selector(NAME).items() <= claim["metadata"]["labels"].items()
        seen += 1
    assert seen == 4


def test_a_pod_belongs_by_its_owner_not_by_its_labels() -> None:
    there = cluster_of([flowerbed(item) for item in rendered(FULL)])
    byhand, others = (copy.deepcopy(there["Pod"][0]) for _ in range(2))
    byhand["metadata"] |= {"name": "copy", "ownerReferences": []}
    others["metadata"] |= {"name": "others", "ownerReferences": [{"uid": "another's", "controller": True}]}
    there["Pod"] += [byhand, others]
    assert {living.name(pod) for pod in find(there).pods} == PODS
    for pod in there["Pod"]:
        pod["metadata"]["labels"] = {"relabelled": "by Kustomize"}
    assert {living.name(pod) for pod in find(there).pods} == PODS


def test_without_replicasets_a_deployments_pods_are_known_by_name() -> None:
    there = cluster_of([helm(item) for item in rendered(FULL)])
    assert {living.name(pod) for pod in find(there, forbidden="ReplicaSet").pods} == PODS


def test_another_federation_is_another_one() -> None:
    there = cluster_of([helm(item) for item in rendered(FULL)])
    found = find(there, name="chest")
    assert (found.workloads, found.pods, found.others) == ([], [], [])


def test_a_superlink_that_flowerbed_did_not_make_is_named() -> None:
    there = cluster_of([kubectl(item) for item in rendered(FULL, "Quickstart")])
    found = find(there)
    assert found.workloads == []
    seen = living.read(NAME, "research", found.workloads, found.pods, found.others)
    said = "there are Deployments of a Flower SuperLink that Flowerbed did not make: chest-study-superlink"
    assert (seen.exists, seen.strangers) == (False, said)


# What an apply does to it.


@way
def test_the_labels_that_others_set_are_no_difference(way: Callable[[Object], Object]) -> None:
    item = rendered(FULL)[-1]
    there = way(item)
    assert differences(item, there) == []
    assert changes(there, {**there, "spec": {**item.get("spec", {}), "replicas": 7}}) == ["spec.replicas"]


def test_the_label_of_ours_is_none_where_the_others_say_whose_it_is() -> None:
    before = kubectl(next(workloads(earlier())))
    wanted = next(item for item in rendered(FULL) if named(item) == named(before))
    assert FEDERATION not in yielding(wanted, before)["metadata"]["labels"]
    assert FEDERATION in yielding(wanted, helm(before))["metadata"]["labels"]


def test_a_patch_of_ours_does_not_make_it_ours() -> None:
    item = helm(rendered(FULL)[-1])
    item["metadata"]["managedFields"].append({"manager": "flowerbed", "operation": "Update"})
    assert managers.manager(item) is not None
    item["metadata"]["managedFields"].append({"manager": "flowerbed", "operation": "Apply"})
    assert managers.manager(item) is None


def test_one_error_names_who_manages_what_and_what_to_do() -> None:
    who = managers.manager(helm(rendered(FULL)[-1]))
    kube = managers.manager(kubectl(rendered(FULL)[-1]))
    assert who is not None
    assert kube is not None
    error = managers.refusal(
        [
            Theirs(who, "StatefulSet chest-study-hospital", ("spec.replicas", "spec.template.spec")),
            Theirs(who, "Service chest-study-superlink", ()),
            Theirs(kube, "ConfigMap chest-study-nodes", ("data.nodes",)),
        ]
    )
    assert error.message == (
        "the file would change what others manage: Helm's release releases/study manages"
        " StatefulSet chest-study-hospital (spec.replicas, spec.template.spec),"
        " Service chest-study-superlink (the file does not have it); kubectl manages"
        " ConfigMap chest-study-nodes (data.nodes)"
    )
    assert error.hint == (
        "Nothing was changed. Render the chart again and run `helm upgrade study`; apply what `flowerbed render` makes"
        " with kubectl, as before. Or take all of it over with `flowerbed up --on kubernetes --force-conflicts`."
    )
    assert error.conflicts[0] == ("helm", ".spec.replicas")
