"""`flowerbed schema`."""

from __future__ import annotations

import json

from flowerbed.spec.schema import json_schema


def schema() -> None:
    """Print the JSON Schema of federation.yaml.

    Save it and point your editor at it, for completion and checks while you type:
    `flowerbed schema > federation.schema.json`, and in federation.yaml's first line
    `# yaml-language-server: $schema=federation.schema.json`.
    """
    print(json.dumps(json_schema(), indent=2))
