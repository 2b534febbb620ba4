"""What does not fit into a machine's memory is refused before anything starts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowerbed.spec.limits import check_local, idle_memory
from flowerbed.spec.load import parse

LAPTOP = 16_000_000_000


def text(replicas: int, flower: str = "1.42") -> str:
    return (
        "apiVersion: flowerbed.dev/v1alpha1\nkind: Federation\nmetadata: {name: demo}\n"
        f'spec:\n  flower: "{flower}"\n  supernodes:\n    - name: a\n    - name: b\n      replicas: {replicas}\n'
    )


def test_ten_thousand_supernodes_on_a_laptop() -> None:
    loaded = parse(text(10_000), "federation.yaml")
    (finding,) = check_local(loaded.federation, 8, LAPTOP)
    assert str(loaded.problem(finding)) == (
        "federation.yaml:9:17: spec.supernodes[1].replicas: 10001 SuperNodes take about 2,800.6 GB of memory when idle "
        "(two programs each, 140 MB a program); this machine has 16.0 GB and 8 cores (at most 56 fit)"
    )


def test_not_even_one() -> None:
    (finding,) = check_local(parse(text(1), "f").federation, 1, 500_000_000)
    assert finding.hint == "not even one fits"


def test_sixteen_supernodes_fit() -> None:
    assert check_local(parse(text(15), "f").federation, 2, 8_000_000_000) == []


@pytest.mark.parametrize(
    ("flower", "megabytes"),
    [("1.22", 75), ("1.22.0", 75), ("1.27", 110), ("1.33.0", 140), ("2.0", 140), ("0.9", 75), (None, 140)],
)
def test_older_releases_are_smaller(flower: str | None, megabytes: int) -> None:
    assert idle_memory(flower) == megabytes * 1_000_000


@given(st.integers(0, 2**40))
def test_what_is_said_to_fit_does_fit(memory: int) -> None:
    findings = check_local(parse(text(9_999), "f").federation, 2, memory)
    if findings and (findings[0].hint or "").startswith("at most"):
        fitting = int((findings[0].hint or "").split()[2])
        if fitting > 1:
            assert not check_local(parse(text(fitting - 1), "f").federation, 2, memory)
        assert check_local(parse(text(fitting), "f").federation, 2, memory)
