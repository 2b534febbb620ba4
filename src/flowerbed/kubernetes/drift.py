"""Where an object in a cluster is not as it was rendered. Pure.

An API server adds what is left out and writes numbers its own way, so only what was rendered is compared; what somebody
else has set beside it is told by ``managedFields`` (kubernetes.io, "Server-Side Apply").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flowerbed.kubernetes.belonging import is_ours
from flowerbed.kubernetes.labels import FEDERATION
from flowerbed.kubernetes.labels import MANAGER as FIELD_MANAGER
from flowerbed.kubernetes.living import label, metadata
from flowerbed.kubernetes.managers import REWRITTEN, entries, is_applied, manager
from flowerbed.spec.quantity import amount

_QUANTITIES = ("requests", "limits", "sizeLimit")
_LEFT_OUT: tuple[object, ...] = (None, "", {}, [], False, 0)


def differences(wanted: Mapping[str, Any], living: Mapping[str, Any]) -> list[str]:
    """Return the fields, with dots, that are not as they were rendered."""
    meta = metadata(yielding(wanted, living) if manager(living) else wanted)
    compared = {key: meta[key] for key in ("labels", "annotations") if key in meta}
    rest = {key: value for key, value in wanted.items() if key not in ("apiVersion", "kind", "metadata", "status")}
    return list(_different({"metadata": compared, **rest}, living, ""))


def set_by_others(living: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return who else has set fields of an object that Flowerbed applied, and below which keys of it."""
    if not is_applied(living):
        return {}  # somebody else applies what was rendered
    found: dict[str, list[str]] = {}
    for one in entries(living):
        keys = [key.removeprefix("f:") for key in one.get("fieldsV1") or {} if key not in ("f:metadata", "f:status")]
        manager = str(one.get("manager"))
        if keys and manager != FIELD_MANAGER:
            found.setdefault(manager, []).extend(keys)
    return found


def yielding(wanted: Mapping[str, Any], living: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object without the labels that who manages the living one sets as they like.

    Our own is left out too where an earlier Flowerbed rendered it: then the others still say whose it is.
    """
    meta = metadata(wanted)
    federation = label(wanted, FEDERATION)
    left = {*REWRITTEN, *({FEDERATION} if federation and is_ours(living, federation) else ())}
    kept = {key: value for key, value in (meta.get("labels") or {}).items() if key not in left}
    return {**wanted, "metadata": {**meta, "labels": kept}}


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return the fields, with dots, that an apply changes."""

    def plain(item: Mapping[str, Any]) -> dict[str, Any]:
        meta = {key: value for key, value in metadata(item).items() if key in ("labels", "annotations")}
        return {"metadata": meta} | {key: value for key, value in item.items() if key not in ("metadata", "status")}

    return list(_different(plain(after), plain(before), ""))


def _different(wanted: Any, living: Any, path: str) -> Iterator[str]:
    if isinstance(wanted, Mapping) and isinstance(living, Mapping):
        for key, value in wanted.items():
            inner = f"{path}.{key}" if path else str(key)
            if key in living:
                yield from _different(value, living[key], inner)
            elif value not in _LEFT_OUT:
                yield inner
    elif _is_list(wanted) and _is_list(living):
        if len(wanted) != len(living):
            yield path
            return
        for index, (one, other) in enumerate(zip(wanted, living, strict=True)):
            yield from _different(one, other, f"{path}[{index}]")
    elif not _same(wanted, living, path):
        yield path


def _same(wanted: Any, living: Any, path: str) -> bool:
    if wanted == living or (wanted in _LEFT_OUT and living in _LEFT_OUT):
        return True
    if path.endswith(".image"):  # an image that was verified is applied by its digest
        return str(living).startswith(f"{wanted}@")
    if any(f".{word}" in path for word in _QUANTITIES):
        try:
            return amount(str(wanted)) == amount(str(living))
        except ValueError:
            return False
    return False


def _is_list(data: Any) -> bool:
    return isinstance(data, Sequence) and not isinstance(data, str)
