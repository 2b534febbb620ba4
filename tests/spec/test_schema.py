"""The JSON Schema tells editors what the reader will accept."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from flowerbed.spec.schema import json_schema


def test_what_it_is() -> None:
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == "https://flowerbed.dev/v1alpha1/federation.schema.json"
    assert schema["required"] == ["apiVersion", "kind", "metadata", "spec"]
    json.dumps(schema)


def sections(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield schema
    yield from (section for section in schema["$defs"].values() if section["type"] == "object")


def test_every_section_and_field_is_described_by_the_name_that_is_written() -> None:
    schema: Any = json_schema()
    for section in sections(schema):
        assert section["description"]
        assert section["additionalProperties"] is False
        for name, field in section["properties"].items():
            referred = schema["$defs"][field["$ref"].rsplit("/", 1)[1]] if "$ref" in field else {}
            assert field.get("description") or referred.get("description"), name
            assert field.get("title", name) == name
            assert "_" not in name


def test_the_rules_of_single_values_are_in_it() -> None:
    schema: Any = json_schema()
    pool = schema["$defs"]["SuperNodePool"]["properties"]
    assert (pool["replicas"]["minimum"], pool["replicas"]["maximum"], pool["replicas"]["default"]) == (1, 10_000, 1)
    assert re.search(pool["name"]["pattern"], "hospital-1")
    assert not re.search(pool["name"]["pattern"], "Hospital")
    assert re.search(pool["name"]["not"]["pattern"], "superexec-x")
    assert pool["nodeConfig"]["propertyNames"]["not"]["enum"] == ["num-partitions", "partition-id"]
    assert schema["$defs"]["Layout"]["enum"] == ["Colocated", "Quickstart"]
    timeout = schema["$defs"]["RunSettings"]["properties"]["timeout"]["anyOf"][0]["pattern"]
    assert [text for text in ("30m", "1h30m", "0s", "", "30", "10s") if re.search(timeout, text)] == [
        "30m",
        "1h30m",
        "10s",
    ]


def test_the_rules_of_labels_networks_and_images_are_in_it() -> None:
    schema: Any = json_schema()
    key = schema["$defs"]["LabelExpression"]["properties"]["key"]["pattern"]
    assert [text for text in ("team", "example.org/team", "a b", "/x", "x/") if re.search(key, text)] == [
        "team",
        "example.org/team",
    ]
    selector = schema["$defs"]["SuperNodePool"]["properties"]["nodeSelector"]
    assert selector["propertyNames"]["pattern"] == key
    value = selector["additionalProperties"]["pattern"]
    assert [text for text in ("", "north", "a b", "-x", "x" * 64) if re.search(value, text)] == ["", "north"]
    cidr = schema["$defs"]["Egress"]["properties"]["cidr"]["anyOf"][0]["pattern"]
    networks = ("192.0.2.0/24", "2001:db8::/32", "192.0.2.1", "example.org")
    assert [text for text in networks if re.search(cidr, text)] == ["192.0.2.0/24", "2001:db8::/32"]
    assert schema["$defs"]["Egress"]["required"] == ["ports"]
    assert schema["$defs"]["ImagePolicy"]["enum"] == ["Any", "Pinned"]
    digest = schema["$defs"]["Digests"]["properties"]["superlink"]["anyOf"][0]["pattern"]
    assert re.search(digest, f"sha256:{'0' * 64}")
    assert not re.search(digest, "latest")
