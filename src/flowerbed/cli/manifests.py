"""Kubernetes objects on standard output, for several commands."""

from __future__ import annotations

from typing import Any

from flowerbed.cli.output import Output
from flowerbed.kubernetes.living import name
from flowerbed.kubernetes.yaml_text import dump_all


def print_objects(out: Output, made: list[dict[str, Any]]) -> None:
    """Print objects as one stream, or as a JSON line each."""
    for item in made:
        out.data("object", {"kind": item["kind"], "name": name(item), "object": item}, exact=True)
    if not out.as_json:
        print(dump_all(made), end="", flush=True)
