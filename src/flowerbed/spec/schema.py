"""The JSON Schema of federation.yaml, for editors and for anyone who checks files without us."""

from __future__ import annotations

from pydantic.json_schema import GenerateJsonSchema

from flowerbed.spec.model import Federation

SCHEMA_ID = "https://flowerbed.dev/v1alpha1/federation.schema.json"
"""The schema's name; nothing is fetched from there."""


def json_schema() -> dict[str, object]:
    """Return the schema (JSON Schema, draft 2020-12)."""
    schema = Federation.model_json_schema(by_alias=True, mode="validation")
    return {"$schema": GenerateJsonSchema.schema_dialect, "$id": SCHEMA_ID} | schema
