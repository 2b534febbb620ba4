"""Sections of the file that have Kubernetes' own shape, as Kubernetes has them."""

from __future__ import annotations

from flowerbed.kubernetes.manifests.identity import Object
from flowerbed.spec.section import Section


def said(section: Section) -> Object:
    """Return a section as Kubernetes has it, with what the file says and what has a default."""
    return _without_nothing(section.model_dump(mode="json", by_alias=True, exclude_none=True))


def _without_nothing(found: Object) -> Object:
    """Leave out empty lists and mappings, but for selectors, in which an empty one is everything."""
    made: Object = {}
    for key, value in found.items():
        match value:
            case dict():
                inner = _without_nothing(value)
                if inner or key.endswith("Selector"):
                    made[key] = inner
            case list():
                if value:
                    made[key] = [_without_nothing(item) if isinstance(item, dict) else item for item in value]
            case _:
                made[key] = value
    return made
