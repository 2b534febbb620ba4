"""Whose Pods an `up` replaces, and what a run forbids."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from flowerbed.flower.releases import find
from flowerbed.kubernetes.applying import owned
from flowerbed.kubernetes.manifests.objects import objects
from flowerbed.kubernetes.replacing import changes
from flowerbed.runs.changes import Act, Change, refusal
from kubernetes.federations import SMALL, Object, federation, named

Pairs = list[tuple[Object | None, Object]]


def applied(text: str = SMALL, layout: str = "Colocated", flower: str = "1.42") -> dict[str, Object]:
    row = find(flower)
    made = objects(federation(text, layout), row)
    return {named(item): owned(item, "demo", "ns", str(row.release)) for item in made}


def pairs(before: dict[str, Object], after: dict[str, Object]) -> Pairs:
    return [(before.get(key), item) for key, item in after.items()]


IMAGE = SMALL.replace("app:1.0", "app:2.0")


@pytest.mark.parametrize("layout", ["Colocated", "Quickstart"])
def test_nothing_is_replaced_by_the_same_objects(layout: str) -> None:
    assert changes("demo", pairs(applied(layout=layout), applied(layout=layout)), []) == []


@pytest.mark.parametrize(
    ("after", "found"),
    [
        (
            applied(SMALL + "  serverapp: {env: {GREETING: hello}}\n"),
            [Change("superexec-serverapp", Act.RESTART, "another environment variable: GREETING", ends_runs=True)],
        ),
        (
            applied(SMALL + "  execution: Isolated\n"),
            [
                Change("superexec-serverapp", Act.RESTART, "another execution", ends_runs=True),
                Change("site", Act.RESTART, "another execution"),
            ],
        ),
        (
            applied(SMALL.replace("replicas: 2", "replicas: 2, env: {COLOUR: red}, execution: Isolated")),
            [Change("site", Act.RESTART, "another execution, another environment variable: COLOUR")],
        ),
        (
            applied(SMALL.replace("replicas: 2", "replicas: 2, nodeConfig: {dataset: chest}")),
            [Change("site", Act.RESTART, "another option: --node-config")],
        ),
        (
            applied(SMALL.replace("replicas: 2", "replicas: 3")),  # each is told how many there are
            [Change("site", Act.RESTART, "another option: --node-config")],
        ),
        (
            applied(SMALL + "  superlink: {resources: {limits: {memory: 3Gi}}}\n"),
            [Change("superlink", Act.RESTART, "another setting: resources", ends_runs=True)],
        ),
    ],
)
def test_a_change_restarts_what_it_touches_and_says_why(after: dict[str, Object], found: list[Change]) -> None:
    assert changes("demo", pairs(applied(), after), []) == found


def test_another_image_and_another_release_are_refused_under_a_run() -> None:
    found = changes("demo", pairs(applied(), applied(IMAGE)), [])
    assert {change.unit: change.reason for change in found} == {
        "superexec-serverapp": "another image",
        "site": "another image",
    }
    error = refusal(found, 4, on="--on kubernetes")
    assert error is not None
    assert error.message == "run 4 is not finished, and superexec-serverapp would restart: another image"

    error = refusal(changes("demo", pairs(applied(flower="1.41"), applied()), []), 4)
    assert error is not None
    assert error.message.startswith(
        "run 4 is not finished, and superlink and superexec-serverapp would restart: Flower 1.42"
    )


def test_a_pool_that_is_gone_stops_and_one_that_is_new_starts() -> None:
    two = applied(SMALL.replace("}]", "}, {name: clinic}]"))
    gone = [item for key, item in two.items() if key not in applied()]
    site = Change("site", Act.RESTART, "another option: --node-config")  # as there are fewer, or more, in all
    stopped = Change("clinic", Act.STOP, "the federation no longer has it")
    assert changes("demo", pairs(two, applied()), gone) == [site, stopped]
    assert changes("demo", pairs(applied(), two), []) == [
        site,
        Change("clinic", Act.START, "the federation now has it"),
    ]


def test_another_certificate_is_called_so() -> None:
    after = copy.deepcopy(applied())
    template: Any = after["StatefulSet/demo-superlink"]["spec"]["template"]
    template["metadata"].setdefault("annotations", {})["flowerbed.dev/trust"] = "2"
    [change] = changes("demo", pairs(applied(), after), [])
    assert (change.unit, change.reason) == ("superlink", "other certificates or secrets")
