"""The small parts that manifests are made of."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowerbed.kubernetes.manifests.expansion import literal
from flowerbed.kubernetes.manifests.resources import resources
from flowerbed.spec.kubernetes import Resources

DEFAULT = Resources(requests={"cpu": "250m", "memory": "512Mi"}, limits={"cpu": "1", "memory": "1Gi"})


@pytest.mark.parametrize(
    ("given_", "requests", "limits"),
    [
        ({}, {"cpu": "250m", "memory": "512Mi"}, {"cpu": "1", "memory": "1Gi"}),
        ({"limits": {"memory": "4Gi"}}, {"cpu": "250m", "memory": "512Mi"}, {"cpu": "1", "memory": "4Gi"}),
        ({"requests": {"memory": "2Gi"}}, {"cpu": "250m", "memory": "2Gi"}, {"cpu": "1", "memory": "2Gi"}),
        ({"limits": {"memory": "100M"}}, {"cpu": "250m", "memory": "100M"}, {"cpu": "1", "memory": "100M"}),
        (
            {"limits": {"nvidia.com/gpu": "1"}},
            {"cpu": "250m", "memory": "512Mi"},
            {"cpu": "1", "memory": "1Gi", "nvidia.com/gpu": "1"},
        ),
    ],
)
def test_defaults_give_way(given_: dict[str, dict[str, str]], requests: dict[str, str], limits: dict[str, str]) -> None:
    found = resources(Resources(**given_), DEFAULT)
    assert found == {"requests": requests, "limits": limits}


def expand(text: str, variables: dict[str, str]) -> str:
    """Do what Kubernetes does (k8s.io/kubernetes/third_party/forked/golang/expansion)."""

    def one(found: re.Match[str]) -> str:
        whole, name = found.group(0), found.group(1)
        return "$" if whole == "$$" else variables.get(name, whole)

    return re.sub(r"\$\$|\$\(([^)]*)\)", one, text)


@given(st.text(alphabet="$()AB x", max_size=12))
def test_no_text_is_expanded(text: str) -> None:
    assert expand(literal(text), {"A": "1", "B": "2", "": "3"}) == text


def test_a_text_that_needs_nothing_is_left_alone() -> None:
    assert literal("costs 5$") == "costs 5$"
    assert literal("$(HOME)/x") == "$$(HOME)/x"
