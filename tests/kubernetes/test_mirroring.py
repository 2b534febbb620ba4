"""Which images are copied where, and what the file then says."""

from __future__ import annotations

import pytest
import yaml

from flowerbed.errors import UsageError
from flowerbed.flower.releases import DEFAULT, find
from flowerbed.kubernetes.manifests.images import PROXY_TAG, used
from flowerbed.kubernetes.mirroring import BASE, fragment, of_any_federation, registry, unpinned, wanted
from flowerbed.spec.load import parse
from flowerbed.spec.model import Federation

TO = "registry.example.org/mirror"
ROW = find("1.42")
NGINX = f"nginxinc/nginx-unprivileged:{PROXY_TAG}"
A, B, C = (f"sha256:{letter * 64}" for letter in "abc")


def federation(more: str = "") -> Federation:
    text = "apiVersion: flowerbed.dev/v1alpha1\nkind: Federation\nmetadata: {name: demo}\nspec:\n"
    text += f"  supernodes: [{{name: site}}]\n{more}"
    return parse(text, "federation.yaml").federation


def copies(made: Federation, origin: str | None = None, locked: dict[str, str] | None = None) -> dict[str, str]:
    return {one.source: one.target for one in wanted(made, ROW, TO, origin, locked)}


def test_what_any_federation_needs() -> None:
    assert copies(of_any_federation()) == {
        "flwr/superlink:1.42.0": f"{TO}/flwr/superlink:1.42.0",
        "flwr/superexec:1.42.0": f"{TO}/flwr/superexec:1.42.0",
        NGINX: f"{TO}/{NGINX}",
    }
    assert ROW == DEFAULT


def test_quickstart_has_supernodes_of_its_own_and_no_proxy() -> None:
    assert copies(federation("  layout: Quickstart\n")) == {
        "flwr/superlink:1.42.0": f"{TO}/flwr/superlink:1.42.0",
        "flwr/supernode:1.42.0": f"{TO}/flwr/supernode:1.42.0",
        "flwr/superexec:1.42.0": f"{TO}/flwr/superexec:1.42.0",
    }


def test_images_come_from_where_the_file_has_them_from() -> None:
    made = federation(
        f"""\
  images:
    registry: ghcr.io/team
    repositories: {{superlink: own/superlink}}
    digests: {{superlink: "{A}"}}
    proxy: quay.io/team/nginx:1.28@{B}
"""
    )
    assert copies(made) == {
        f"ghcr.io/team/own/superlink:1.42.0@{A}": f"{TO}/own/superlink:1.42.0",
        "ghcr.io/team/flwr/superexec:1.42.0": f"{TO}/flwr/superexec:1.42.0",
        f"quay.io/team/nginx:1.28@{B}": f"{TO}/team/nginx:1.28",
    }
    assert "other.example.org/flwr/superexec:1.42.0" in copies(made, "other.example.org")
    assert "ghcr.io/team/own/superlink:1.42.0" in copies(unpinned(made))


def test_what_is_locked_is_copied() -> None:
    locked = {"flwr/superlink:1.42.0": A, NGINX: B, "flwr/superlink:1.40.0": C}
    assert [*copies(of_any_federation(), "other.example.org", locked)] == [
        f"other.example.org/flwr/superlink:1.42.0@{A}",
        "other.example.org/flwr/superexec:1.42.0",
        f"other.example.org/{NGINX}@{B}",
    ]


def fragment_of(made: Federation, digests: dict[str, str]) -> str:
    done = [(one, digests[one.target.rpartition("/")[2].partition(":")[0]]) for one in wanted(made, ROW, TO)]
    return yaml.safe_dump({"spec": fragment(made, TO, done)}, sort_keys=False, width=1000)


DIGESTS = {"superlink": A, "supernode": B, "superexec": B, "nginx-unprivileged": C, "nginx": C}


def test_what_the_file_says_then() -> None:
    assert (
        fragment_of(of_any_federation(), DIGESTS)
        == f"""\
spec:
  images:
    registry: {TO}
    digests:
      superlink: {A}
    proxy: {TO}/{NGINX}@{C}
"""
    )


def test_what_the_file_says_of_repositories_stays() -> None:
    made = federation("  layout: Quickstart\n  images: {repositories: {supernode: own/supernode}}\n")
    assert (
        fragment_of(made, DIGESTS)
        == f"""\
spec:
  images:
    registry: {TO}
    repositories:
      supernode: own/supernode
    digests:
      superlink: {A}
      supernode: {B}
"""
    )


def test_a_superlink_that_is_named_in_full_stays_so() -> None:
    made = federation("  superlink: {image: ghcr.io/team/superlink:1}\n")
    assert (
        fragment_of(made, DIGESTS)
        == f"""\
spec:
  images:
    registry: {TO}
    proxy: {TO}/{NGINX}@{C}
  superlink:
    image: {TO}/team/superlink:1@{A}
"""
    )


@pytest.mark.parametrize("layout", ["Colocated", "Quickstart"])
@pytest.mark.parametrize("more", ["", "  superlink: {image: ghcr.io/team/superlink:1}\n"])
def test_a_file_that_says_so_takes_the_copies_and_mirrors_the_same(layout: str, more: str) -> None:
    """What is printed is read, all images that are used then are copies, and mirroring again has nothing to do."""
    made = federation(f"  layout: {layout}\n{more}")
    before = wanted(made, ROW, TO)
    said = fragment(made, TO, [(one, A) for one in before])
    spec = {"supernodes": [{"name": "site"}], "layout": layout, **said}
    text = {"apiVersion": made.api_version, "kind": made.kind, "metadata": {"name": "demo"}, "spec": spec}
    after = parse(yaml.safe_dump(text), "federation.yaml").federation
    names = {image for _, image in used(after.spec, ROW)}
    assert names == {f"{one.target}@{A}" for one in before if one.field != BASE}
    again = wanted(after, ROW, TO)
    assert [(one.field, one.target) for one in again] == [(one.field, one.target) for one in before]
    assert all(one.source.endswith(f"@{A}") and not one.source.startswith(TO) for one in again if one.field != BASE)


def test_the_next_release_comes_from_where_the_first_came_from() -> None:
    made = federation(f'  images: {{registry: "{TO}"}}\n')
    assert copies(made)["flwr/superlink:1.42.0"] == f"{TO}/flwr/superlink:1.42.0"


@pytest.mark.parametrize("to", ["docker.io", "index.example.org/team"])
def test_images_are_not_copied_onto_themselves(to: str) -> None:
    made = federation(f"  superlink: {{image: {to}/flwr/superlink:1}}\n") if to != "docker.io" else of_any_federation()
    origin = to if to != "docker.io" else None
    with pytest.raises(UsageError, match="comes from there") as caught:
        wanted(made, ROW, to, origin)
    assert caught.value.where == "--to"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("https://registry.example.org", "is not a registry"),
        ("mirror", "would be taken for a repository"),
        ("", "is not a registry"),
        ("registry.example.org/mirror:1", "is not a registry"),
    ],
)
def test_what_is_no_registry(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        registry(text, "--to")
    assert caught.value.where == "--to"
    assert caught.value.hint
    assert registry(TO, "--to") == TO
