"""Every rendered object has only fields that Kubernetes knows, from 1.28 to the newest release that can be checked."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
from kubernetes_validate import utils

from kubernetes.federations import FULL, SMALL, Object, named, rendered, workloads
from kubernetes.test_network import OPEN
from kubernetes.test_placement import EXACTING
from kubernetes.test_sites import VARIANTS as SITES

OLDEST = (1, 28)


def versions() -> list[str]:
    """Return the releases of Kubernetes to check against."""
    known = [tuple(map(int, version.split(".")[:2])) for version in utils.all_versions()]
    return [f"{major}.{minor}" for major, minor in sorted(set(known)) if (major, minor) >= OLDEST]


@pytest.fixture(autouse=True)
def _read_schemas_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(utils, "schema_contents", _schema_contents)


_schema_contents = functools.cache(utils.schema_contents)


def variants() -> Iterator[tuple[str, Object]]:
    for layout in ("Colocated", "Quickstart"):
        for flower in ("1.22", "1.31", "1.36", "1.42"):
            for text in (SMALL, FULL, EXACTING):
                for item in rendered(text, layout, flower):
                    yield f"{layout} {flower} {named(item)}", item
    for flower in ("1.22", "1.37", "1.42"):
        for item in rendered(OPEN, flower=flower):
            yield f"open {flower} {named(item)}", item
        for text in SITES:
            for item in rendered(text, flower=flower):
                if item["kind"] != "TLSRoute":  # no part of Kubernetes itself
                    yield f"sites {flower} {named(item)}", item


@pytest.mark.parametrize("version", versions())
def test_every_object_is_one_of_that_release(version: str) -> None:
    for name, item in variants():
        assert kubernetes_validate.validate(item, version, strict=True) == version, name


def test_the_releases_that_are_asked_for_are_checked() -> None:
    assert "1.28" in versions()
    assert len(versions()) >= 9


def test_a_wrong_object_is_found() -> None:
    *_, wrong = workloads(rendered(SMALL))
    wrong["spec"]["template"]["spec"]["containers"][0]["readOnly"] = True
    with pytest.raises(kubernetes_validate.ValidationError, match="readOnly"):
        kubernetes_validate.validate(wrong, versions()[-1], strict=True)
