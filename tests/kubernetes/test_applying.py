"""What an apply changes, what it removes, and how that is shown. The API server's part is tested on a real one."""

from __future__ import annotations

from typing import Any

from flowerbed.kubernetes import labels
from flowerbed.kubernetes.applying import changed, difference, owned, surplus


def config(name: str, **more: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **more}, "data": {"key": "value"}}


def test_an_object_is_changed_when_its_version_is() -> None:
    assert changed(None, config("a"))
    assert not changed(config("a", resourceVersion="7"), config("a", resourceVersion="7"))
    assert changed(config("a", resourceVersion="7"), config("a", resourceVersion="8"))


def test_what_the_file_no_longer_has_is_surplus_but_for_what_belongs_to_a_run() -> None:
    run = config("fed-run-1", labels={labels.RUN: "1"})
    assert surplus([config("keep")], [config("keep"), config("old"), run]) == [config("old")]


def test_a_name_of_another_kind_is_surplus() -> None:
    service = {"kind": "Service", "metadata": {"name": "keep"}}
    assert surplus([config("keep")], [service]) == [service]


def test_a_difference_leaves_out_what_only_the_server_writes() -> None:
    before = config("a", resourceVersion="7", uid="u", managedFields=[{"manager": "x"}])
    assert difference(before, config("a", resourceVersion="8")) == ""
    after = config("a") | {"data": {"key": "other"}}
    lines = difference(before, after).splitlines()
    assert [line for line in lines if line.startswith(("-", "+"))] == [
        "--- living ConfigMap/a",
        "+++ wanted ConfigMap/a",
        "-  key: value",
        "+  key: other",
    ]


def test_owning_adds_labels_and_leaves_selectors_alone() -> None:
    selector = {"matchLabels": {"app": "flower-superlink"}}
    deployment: dict[str, Any] = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "flower-superlink", "labels": {"app": "flower-superlink"}},
        "spec": {"selector": selector, "template": {"metadata": {"labels": {"app": "flower-superlink"}}, "spec": {}}},
    }
    mine = owned(deployment, "flower", "ns", "1.22.0")
    assert mine["spec"]["selector"] == selector
    for found in (mine["metadata"]["labels"], mine["spec"]["template"]["metadata"]["labels"]):
        assert found["app"] == "flower-superlink"
        assert found[labels.COMPONENT] == "superlink"
        assert found[labels.INSTANCE] == "flower"
    assert mine["metadata"]["namespace"] == "ns"
    assert deployment["metadata"]["labels"] == {"app": "flower-superlink"}


def test_components_of_the_quickstart_layout_are_known_by_their_names() -> None:
    names = ["superlink", "supernode-0", "superexec-serverapp", "superexec-clientapp-1"]
    found = []
    for name in names:
        workload: dict[str, Any] = {**config(f"flower-{name}"), "spec": {"template": {}}}
        found.append(owned(workload, "flower", "ns", "1")["metadata"]["labels"][labels.COMPONENT])
    assert found == ["superlink", "supernode", "superexec-serverapp", "superexec-clientapp"]


def test_what_is_no_workload_is_no_component() -> None:
    assert labels.COMPONENT not in owned(config("flower-programs"), "flower", "ns", "1")["metadata"]["labels"]
