"""What builds keep in the cache is listed, and goes when nobody used it; the next build makes it again."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from flowerbed.image import store
from image.beds import Place, Say, build
from image.made import FOREIGN
from json_output import differences, heard

pytestmark = [pytest.mark.usefixtures("registry_here"), pytest.mark.timeout(300)]

DAY = 86_400


def kept(said: str) -> list[str]:
    return sorted(one["holds"] for line in said.splitlines() if (one := json.loads(line))["type"] == "kept")


def age(path: Path, days: int) -> None:
    then = time.time() - days * DAY
    os.utime(path, (then, then))


def test_what_builds_keep_goes_when_it_is_old_and_comes_again(place: Place, say: Say) -> None:
    assert say("images", "list") == (
        0,
        "There is nothing yet; `flowerbed build` keeps what it fetched and made.\n",
    )
    place.base()
    made = build(say, place, "--push")
    status, said = say("images", "list", "--json")
    again = say("build", str(place.app), "--platform", f"linux/{FOREIGN}", "--json")
    assert differences("images", [heard("images list", status, said), heard("build", *again)]) == []
    everything = kept(said)
    assert status == 0
    assert set(everything) == {"what a base holds", "an app's packages", "a layer or a document"}
    assert "an app's packages" in say("images", "list")[1]

    assert say("images", "prune") == (0, "Deleted 0, 0 MB.\n")
    [packages] = (store.root() / "packages").glob("[!.]*")
    age(packages, 31)
    begun = store.root() / "roots" / ".sha256-0-abc"
    begun.mkdir(parents=True)
    assert kept(say("images", "prune", "--dry-run", "--json")[1]) == ["an app's packages"]
    assert packages.exists()
    assert build(say, place)["digest"] == made["digest"]
    assert kept(say("images", "prune", "--json")[1]) == []  # that build used it

    age(packages, 31)
    status, said = say("images", "prune")
    assert "Deleted 1, " in said
    assert not packages.exists()
    assert not begun.exists()
    assert kept(say("images", "prune", "--all", "--json")[1]) == [one for one in everything if "packages" not in one]
    assert not [path for path in store.root().rglob("*") if path.is_file() and not path.name.endswith(("lock", "use"))]
    assert build(say, place)["digest"] == made["digest"]


def test_nothing_goes_while_an_image_is_built(place: Place, say: Say) -> None:
    place.base()
    build(say, place)
    with store.in_use(), store.in_use():  # two builds do not exclude each other
        status, said = say("images", "prune", "--all")
    assert (status, "an image is being built with what lies there" in said) == (1, True)
    assert kept(say("images", "list", "--json")[1])
