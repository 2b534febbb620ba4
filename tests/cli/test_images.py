"""`flowerbed images mirror` from one real registry to another."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from cluster.registry import serving
from flowerbed.flower.releases import DEFAULT
from flowerbed.kubernetes.manifests.images import PROXY_REPOSITORY, PROXY_TAG
from registry.cutting import Cable, cable
from registry.pushing import push

Say = Callable[..., tuple[int, str]]

pytestmark = pytest.mark.usefixtures("registry_here")

IMAGES = {
    f"{repository}:{tag}": (repository, tag)
    for repository, tag in (
        ("flwr/superlink", str(DEFAULT.release)),
        ("flwr/superexec", str(DEFAULT.release)),
        (PROXY_REPOSITORY, PROXY_TAG),
    )
}


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Give a registry with what any federation needs, and work in a folder that is empty."""
    for name in ("source", "target", "work"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("FLOWERBED_CACHE_DIR", str(tmp_path / "cache"))
    with serving(tmp_path / "source" / "images", tmp_path / "source") as address:
        for repository, tag in IMAGES.values():
            push(address, repository, tag, note=repository)
        yield address


@pytest.fixture
def target(tmp_path: Path, source: str) -> Iterator[Cable]:
    with serving(tmp_path / "target" / "images", tmp_path / "target") as address, cable(address) as before:
        yield before


def federation(text: str) -> None:
    Path("federation.yaml").write_text(
        "apiVersion: flowerbed.dev/v1alpha1\nkind: Federation\nmetadata: {name: demo}\n" + text
    )


def told(said: str, kind: str) -> list[dict[str, object]]:
    return [line for line in map(json.loads, said.splitlines()) if line["type"] == kind]


def test_what_any_federation_needs_is_copied_once(source: str, target: Cable, say: Say) -> None:
    to = f"{target.address}/mirror"
    status, said = say("images", "mirror", "--to", to, "--from", source, "--json")
    assert status == 0, said
    rows = told(said, "mirrored")
    assert {row["source"]: row["image"] for row in rows} == {f"{source}/{name}": f"{to}/{name}" for name in IMAGES}
    assert all(row["changed"] for row in rows)

    digests = {str(row["image"]): str(row["digest"]) for row in rows}
    [fragment] = told(said, "fragment")
    superlink, proxy = f"{to}/flwr/superlink:{DEFAULT.release}", f"{to}/{PROXY_REPOSITORY}:{PROXY_TAG}"
    images = {
        "registry": to,
        "digests": {"superlink": digests[superlink]},
        "proxy": f"{proxy}@{digests[proxy]}",
    }
    assert fragment["spec"] == {"images": images}

    target.asked.clear()
    status, said = say("images", "mirror", "--to", to, "--from", source)
    assert status == 0
    for name, digest in digests.items():
        assert f"{name}@{digest} was there already\n" in said
    assert {line.partition(" ")[0] for line in target.asked} == {"HEAD"}
    base = f"{to}/flwr/superexec:{DEFAULT.release}"
    assert said.endswith(f"Apps' own images are built on {base}@{digests[base]}.\n")
    assert list(Path().iterdir()) == []


def test_a_federation_runs_from_the_copies(source: str, target: Cable, say: Say) -> None:
    app = f'  app: {{image: "{source}/team/app:1"}}\n  supernodes: [{{name: site}}]\n'
    federation(f'spec:\n{app}  images: {{registry: "{source}"}}\n')
    before = Path("federation.yaml").read_text()
    status, said = say("images", "mirror", "--to", target.address)
    assert (status, Path("federation.yaml").read_text()) == (0, before)
    printed = re.search(r"^spec:\n(?:  .*\n)+", said, re.MULTILINE)
    assert printed is not None, said

    federation(printed[0] + app)
    status, said = say("render", "--json")
    assert status == 0, said
    found = set(re.findall(r'"image": "([^"]+)"', said))
    images = yaml.safe_load(printed[0])["spec"]["images"]
    superlink = f"{target.address}/flwr/superlink:{DEFAULT.release}@{images['digests']['superlink']}"
    assert found == {f"{source}/team/app:1", superlink, images["proxy"]}

    # The file now names the copies: nothing else is asked for than whether they are there, and the base.
    status, said = say("images", "mirror", "--to", target.address, "--from", source, "--json")
    assert (status, [row["changed"] for row in told(said, "mirrored")]) == (0, [False] * 3)


def test_what_is_locked_is_copied_and_not_what_a_tag_is_now(source: str, target: Cable, say: Say) -> None:
    push(source, "team/app", "1")
    federation(
        f'spec:\n  app: {{image: "{source}/team/app:1"}}\n  supernodes: [{{name: site}}]\n'
        f'  images: {{registry: "{source}"}}\n'
    )
    status, said = say("lock", "--json")
    assert status == 0, said
    locked = {str(row["image"]): row["digest"] for row in told(said, "image")}
    name = f"{source}/flwr/superlink:{DEFAULT.release}"
    assert push(source, "flwr/superlink", str(DEFAULT.release), note="moved") != locked[name]
    status, said = say("images", "mirror", "--to", target.address, "--json")
    digests = {row["image"]: row["digest"] for row in told(said, "mirrored")}
    assert (status, digests[f"{target.address}/flwr/superlink:{DEFAULT.release}"]) == (0, locked[name])


def test_an_image_that_is_nowhere(source: str, target: Cable, say: Say) -> None:
    status, said = say("images", "mirror", "--to", target.address, "--from", f"{source}/elsewhere")
    assert status == 1
    assert f"{source}/elsewhere/flwr/superlink:{DEFAULT.release}: there is no such image at {source}" in said
    assert "The tag was not changed" in said


@pytest.mark.parametrize(
    ("tokens", "why"),
    [
        (["--to", "mirror"], '--to: "mirror": mirror would be taken for a repository'),
        (["--to", "docker.io"], "comes from there"),
        (["--to", "registry.example.org", "--from", "http://x"], "--from:"),
        (["--to", "registry.example.org", "--file", "nowhere"], "there is no federation.yaml"),
        (["--to", "registry.example.org", "--flower", "9.9"], "is not proven here"),
        ([], "--to"),
    ],
)
def test_what_cannot_be_meant(tokens: list[str], why: str, source: str, say: Say) -> None:
    status, said = say("images", "mirror", *tokens)
    assert (status, why in said) == (2, True), said
