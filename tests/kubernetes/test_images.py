"""Where Flower's images come from, and what is refused where images have to be pinned."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from flowerbed.errors import SpecError
from flowerbed.flower.releases import find
from flowerbed.kubernetes.manifests.images import image_problems
from flowerbed.kubernetes.opening import open_file
from kubernetes.federations import FULL, SMALL, container, containers, federation, rendered, workloads

Say = Callable[..., tuple[int, str]]

ONE, TWO = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"


def images(said: str, layout: str = "Colocated", flower: str = "1.42") -> dict[str, str]:
    """Return the images of Flower's own programs."""
    made = rendered(SMALL.replace("spec:", f"spec:\n  {said}"), layout, flower)
    found = {item["metadata"]["name"]: container(item)["image"] for item in workloads(made)}
    return {name: found[name] for name in ("demo-superlink", "demo-site-0") if name in found}


@pytest.mark.parametrize(
    ("said", "superlink", "supernode"),
    [
        ("images: {}", "flwr/superlink:1.22.0", "flwr/supernode:1.22.0"),
        (
            "images: {registry: registry.example.org:5000/mirror}",
            "registry.example.org:5000/mirror/flwr/superlink:1.22.0",
            "registry.example.org:5000/mirror/flwr/supernode:1.22.0",
        ),
        (
            "images: {registry: localhost, repositories: {superlink: team/link}}",
            "localhost/team/link:1.22.0",
            "localhost/flwr/supernode:1.22.0",
        ),
        (
            f'images: {{digests: {{superlink: "{ONE}", supernode: "{TWO}"}}}}',
            f"flwr/superlink:1.22.0@{ONE}",
            f"flwr/supernode:1.22.0@{TWO}",
        ),
        (
            "images: {registry: registry.example.org}\n  superlink: {image: example/own:1}",
            "example/own:1",
            "registry.example.org/flwr/supernode:1.22.0",
        ),
    ],
)
def test_where_flowers_images_come_from(said: str, superlink: str, supernode: str) -> None:
    assert images(said, flower="1.22") == {"demo-superlink": superlink}
    assert images(said, "Quickstart", "1.22") == {"demo-superlink": superlink, "demo-site-0": supernode}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("images: {}", "nginxinc/nginx-unprivileged:1.28-alpine"),
        (
            "images: {registry: registry.example.org/mirror}",
            "registry.example.org/mirror/nginxinc/nginx-unprivileged:1.28-alpine",
        ),
        ("images: {registry: registry.example.org, proxy: example/nginx:1}", "example/nginx:1"),
    ],
)
def test_where_the_proxys_image_comes_from(said: str, expected: str) -> None:
    made = rendered(SMALL.replace("spec:", f"spec:\n  {said}"))
    (superlink,) = [item for item in workloads(made) if item["metadata"]["name"] == "demo-superlink"]
    assert [one["image"] for one in containers(superlink)][1:] == [expected]


PINNED = SMALL.replace("spec:", "spec:\n  security: {images: Pinned}").replace("LAYOUT", "Colocated")
WITH_DIGESTS = PINNED.replace("app:1.0", f"app:1.0@{ONE}").replace(
    "spec:", f'spec:\n  images: {{digests: {{superlink: "{TWO}"}}, proxy: "example/nginx@{ONE}"}}'
)


def test_every_image_without_a_digest_is_named() -> None:
    row = find("1.42")
    assert image_problems(federation(SMALL), row) == []
    assert image_problems(federation(WITH_DIGESTS), row) == []
    found = {finding.path: (finding.message, finding.hint) for finding in image_problems(federation(PINNED), row)}
    assert found == {
        ("spec", "app", "image"): (
            "ghcr.io/example/app:1.0 has no digest; spec.security.images is Pinned",
            'name it by what it holds: "ghcr.io/example/app:1.0@sha256:…", or `flowerbed lock`',
        ),
        ("spec", "images", "digests", "superlink"): (
            "is missing, and flwr/superlink:1.42.0 has no digest; spec.security.images is Pinned",
            "superlink: sha256:…, or `flowerbed lock`",
        ),
        ("spec", "images", "proxy"): (
            "nginxinc/nginx-unprivileged:1.28-alpine has no digest; spec.security.images is Pinned",
            'name it by what it holds: "nginxinc/nginx-unprivileged:1.28-alpine@sha256:…", or `flowerbed lock`',
        ),
    }
    other = PINNED.replace("spec:", "spec:\n  superlink: {image: example/own:1}")
    assert ("spec", "superlink", "image") in {finding.path for finding in image_problems(federation(other), row)}
    quickstart = WITH_DIGESTS.replace("Colocated", "Quickstart")
    (one,) = image_problems(federation(quickstart), row)
    assert one.path == ("spec", "images", "digests", "supernode")


def test_what_is_not_pinned_is_neither_rendered_nor_brought_up(tmp_path: Path, say: Say) -> None:
    file = tmp_path / "federation.yaml"
    file.write_text(PINNED, encoding="utf-8")
    status, said = say("render", "--file", str(file))
    assert status == 2
    assert f"{file}:7:16: spec.app.image: ghcr.io/example/app:1.0 has no digest" in said
    assert "spec.images.digests.superlink: is missing" in said
    with pytest.raises(SpecError, match="has no digest"):
        open_file(file).objects(find("1.42"), "research")
    file.write_text(WITH_DIGESTS, encoding="utf-8")
    status, said = say("render", "--file", str(file))
    assert status == 0
    assert set(re.findall(r"image: \"?([^\"\n]+)", said)) == {
        f"ghcr.io/example/app:1.0@{ONE}",
        f"flwr/superlink:1.42.0@{TWO}",
        f"example/nginx@{ONE}",
    }


def test_a_chart_of_pinned_images_takes_no_others(tmp_path: Path, say: Say) -> None:
    file = tmp_path / "federation.yaml"
    found = {}
    for name, text in {"pinned": WITH_DIGESTS, "any": SMALL.replace("LAYOUT", "Colocated")}.items():
        file.write_text(text, encoding="utf-8")
        say("render", "--file", str(file), "--format", "helm", "--output", str(tmp_path / name))
        schema = json.loads((tmp_path / name / "values.schema.json").read_text())
        one = schema["properties"]["images"]["properties"]["app"]
        patterns = [one["pattern"], *(part["pattern"] for part in one.get("allOf", []))]
        found[name] = [image for image in ("a/b:1", f"a/b:1@{ONE}") if all(re.search(p, image) for p in patterns)]
    assert found == {"pinned": [f"a/b:1@{ONE}"], "any": ["a/b:1", f"a/b:1@{ONE}"]}


def test_digests_are_taken_wherever_images_are_named() -> None:
    text = FULL.replace("flwr/superlink:1.42.0", f"flwr/superlink:1.42.0@{ONE}")
    found = {container(item)["image"] for item in workloads(rendered(text))}
    assert all("@sha256:" in image for image in found)
    assert len(found) == 2
