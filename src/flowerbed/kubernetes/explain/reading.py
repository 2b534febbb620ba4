"""Reading API objects that may lack any field: nothing here raises, whatever the API server, or a proxy, gave."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

Object = Mapping[str, Any]


def at(item: object, *path: str) -> object:
    """Return what lies at a path of keys; None if anything on the way is missing or no object."""
    for key in path:
        if not isinstance(item, Mapping):
            return None
        item = item.get(key)
    return item


def text(item: object, *path: str) -> str:
    """Return the text at a path; empty if there is none."""
    found = at(item, *path)
    return found.strip() if isinstance(found, str) else ""


def number(item: object, *path: str) -> int | None:
    """Return the whole number at a path; None if there is none."""
    found = at(item, *path)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def objects(item: object, *path: str) -> list[Object]:
    """Return the objects in the list at a path; empty if there is no list."""
    found = at(item, *path)
    return [entry for entry in found if isinstance(entry, Mapping)] if isinstance(found, (list, tuple)) else []


def strings(item: object, *path: str) -> list[str]:
    """Return the texts in the list at a path; empty if there is no list."""
    found = at(item, *path)
    return [entry for entry in found if isinstance(entry, str)] if isinstance(found, (list, tuple)) else []


def moment(item: object, *path: str) -> datetime | None:
    """Return the time at a path, as the API writes it (RFC 3339) or as clients parse it; None if there is none."""
    found = at(item, *path)
    if isinstance(found, str):
        try:
            found = datetime.fromisoformat(found)
        except ValueError:
            return None
    if not isinstance(found, datetime):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def name(item: object) -> str:
    """Return an object's name."""
    return text(item, "metadata", "name")


def condition(item: object, kind: str) -> Object:
    """Return the condition of a type from an object's status; empty if there is none."""
    return next((entry for entry in objects(item, "status", "conditions") if text(entry, "type") == kind), {})


def is_ready(pod: object) -> bool:
    """Tell whether a Pod is ready by its own probes."""
    return text(condition(pod, "Ready"), "status") == "True"


def controller(item: object) -> Object:
    """Return the reference to the controller that owns an object; empty if there is none."""
    owners = objects(item, "metadata", "ownerReferences")
    return next((owner for owner in owners if at(owner, "controller") is True), {})
