"""The table of releases: what is found, what is refused and with which advice, what is chosen."""

from __future__ import annotations

import pytest
from packaging.specifiers import SpecifierSet

from flowerbed.errors import ReleaseError
from flowerbed.flower.releases import DEFAULT, RELEASES, choose, find


def test_table_is_complete_and_in_order() -> None:
    assert [str(row.minor) for row in RELEASES] == [f"1.{number}" for number in range(22, 43)]
    assert all("3.11" in row.pythons for row in RELEASES)
    assert str(DEFAULT.release) == "1.42.0"


def test_a_minor_release_is_its_newest_proven_patch() -> None:
    assert str(find("1.26").release) == "1.26.1"
    assert find("1.26.1") is find("1.26")
    assert find(" 1.42 ") is DEFAULT


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("1.43", '"1.42" (1.42.0)'),
        ("1.43.0", '"1.42" (1.42.0)'),
        ("1.21", '"1.22" (1.22.0)'),
        ("1.9", '"1.22" (1.22.0)'),
        ("0.30", '"1.22" (1.22.0)'),
        ("2.0", '"1.42" (1.42.0)'),
        ("1.22.5", '"1.22" (1.22.0)'),
        ("1.26.0", '"1.26" (1.26.1)'),
    ],
)
def test_what_is_not_proven_is_refused_with_the_nearest_that_is(text: str, nearest: str) -> None:
    with pytest.raises(ReleaseError) as caught:
        find(text)
    assert caught.value.message == f"Flower {text} is not proven here"
    assert caught.value.hint == f"The nearest proven release is {nearest}."
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("text", ["", "latest", "1", "1.42.0.0", "1.42rc1", "v1.42"])
def test_what_is_no_release_is_refused(text: str) -> None:
    with pytest.raises(ReleaseError, match="is not a Flower release"):
        find(text)


@pytest.mark.parametrize(
    ("requested", "requirement", "chosen"),
    [
        (None, None, "1.42.0"),
        (None, "", "1.42.0"),
        (None, ">=1.22", "1.42.0"),
        (None, ">=1.22,<1.30", "1.29.0"),
        (None, "==1.24.*", "1.24.0"),
        (None, "~=1.26.0", "1.26.1"),
        (None, "!=1.42.0", "1.41.0"),
        ("1.22", None, "1.22.0"),
        ("1.22", ">=1.20", "1.22.0"),
        ("1.30.0", ">=1.22,<2", "1.30.0"),
    ],
)
def test_choice(requested: str | None, requirement: str | None, chosen: str) -> None:
    assert str(choose(requested, None if requirement is None else SpecifierSet(requirement)).release) == chosen


def test_choice_refuses_what_the_app_does_not_allow_and_names_both() -> None:
    with pytest.raises(ReleaseError) as caught:
        choose("1.22", SpecifierSet(">=1.30"))
    assert "Flower 1.22" in caught.value.message
    assert "flwr>=1.30" in caught.value.message
    assert caught.value.hint == 'Ask for "1.42" (1.42.0), or change the app\'s requirement.'


def test_choice_refuses_an_app_that_allows_nothing_proven() -> None:
    with pytest.raises(ReleaseError, match=r"flwr>=1\.43") as caught:
        choose(None, SpecifierSet(">=1.43"))
    assert "1.22.0 to 1.42.0" in str(caught.value.hint)
    with pytest.raises(ReleaseError, match=r"flwr<1\.22") as caught:
        choose("1.23", SpecifierSet("<1.22"))
    assert caught.value.hint == "Change the app's requirement."


def test_choice_refuses_an_unproven_release_whatever_the_app_allows() -> None:
    with pytest.raises(ReleaseError, match="not proven"):
        choose("1.43", SpecifierSet(">=1.43"))
