"""The JSON Schema of a chart's values: Helm checks what a user gives against it."""

from __future__ import annotations

import json
from typing import Any

from flowerbed.spec.kubernetes_values import DIGEST_PATTERN, IMAGE_PATTERN, LABEL_PATTERN, SUBDOMAIN_PATTERN
from flowerbed.spec.quantity import QUANTITY

_QUANTITY = {"type": ["string", "number"], "pattern": f"^({QUANTITY.pattern})$"}
_NAME = {"type": "string", "pattern": f"^({SUBDOMAIN_PATTERN})$"}
_QUANTITIES = {"type": "object", "additionalProperties": _QUANTITY}
_RESOURCES = {
    "type": "object",
    "properties": {"requests": _QUANTITIES, "limits": _QUANTITIES},
    "additionalProperties": False,
}
_CLAIM = {
    "type": "object",
    "properties": {"size": _QUANTITY, "storageClassName": {"anyOf": [{"const": ""}, _NAME]}},
    "required": ["size"],
    "additionalProperties": False,
}
_OF: dict[str, Any] = {
    "namespace": {"type": "string", "pattern": f"^({LABEL_PATTERN})?$"},
    "createNamespace": {"type": "boolean"},
    "imagePullSecrets": {
        "type": "array",
        "items": {"type": "object", "properties": {"name": _NAME}, "required": ["name"], "additionalProperties": False},
    },
    "storage": _CLAIM,
    "results": _CLAIM,
}


def schema(values: dict[str, Any], *, pinned: bool = False) -> str:
    """Return values.schema.json for a chart with these values.

    Parameters
    ----------
    values : dict
        The chart's own values.
    pinned : bool
        Whether images must have a digest.
    """
    properties = {key: _property(key, value, pinned=pinned) for key, value in values.items()}
    return (
        json.dumps(
            {
                "$schema": "http://json-schema.org/draft-07/schema#",
                "type": "object",
                "properties": {**properties, "global": {"type": "object"}},
                "required": list(properties),
                "additionalProperties": False,
            },
            indent=2,
        )
        + "\n"
    )


def _property(key: str, value: Any, *, pinned: bool) -> Any:
    if key == "images":
        digest = {"allOf": [{"pattern": f"@{DIGEST_PATTERN}$"}]} if pinned else {}
        return _mapping({name: {"type": "string", "pattern": f"^({IMAGE_PATTERN})$", **digest} for name in value})
    if key == "resources":
        pools = _mapping(dict.fromkeys(value.get("supernodes", {}), _RESOURCES))
        return _mapping({name: pools if name == "supernodes" else _RESOURCES for name in value})
    return _OF[key]


def _mapping(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
