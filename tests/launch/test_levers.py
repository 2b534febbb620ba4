"""Levers are on or off by name, and one that a release has no room for says so and changes nothing."""

from __future__ import annotations

import pytest

from flowerbed_inside.levers import lever


@pytest.mark.parametrize(
    ("said", "on"),
    [
        (None, lever.NAMES),
        ("", lever.NAMES),
        ("none", ()),
        ("pace", ("pace",)),
        ("hold, pace", ("hold", "pace")),
    ],
)
def test_which_levers_are_on(said: str | None, on: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(lever.LEVERS, raising=False)
    if said is not None:
        monkeypatch.setenv(lever.LEVERS, said)
    assert tuple(name for name in lever.NAMES if lever.is_on(name)) == on


def test_a_lever_that_is_off_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(lever.LEVERS, "none")
    assert not lever.take("pace", lambda: pytest.fail("it was taken"))


def test_what_a_release_lacks_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv(lever.LEVERS, raising=False)

    def lacking() -> None:
        raise lever.Lacking("pull_objects has no option initial_backoff")

    assert not lever.take("backoff", lacking)
    assert lever.take("pace", lambda: None)
    said = "[flowerbed: without the lever backoff: pull_objects has no option initial_backoff]\n"
    assert capsys.readouterr() == ("", said)
