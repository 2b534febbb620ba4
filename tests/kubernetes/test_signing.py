"""Images that nobody signed are refused before anything is applied, and policies have the cluster do the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import registry as real
from flowerbed.flower.releases import DEFAULT
from flowerbed.kubernetes.manifests.images import PROXY_REPOSITORY, PROXY_TAG
from registry.pushing import push
from registry.signing import key, public, sign_by_tag

Say = Callable[..., tuple[int, str]]

KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: nowhere
contexts: [{name: nowhere, context: {cluster: nowhere, user: nobody}}]
clusters: [{name: nowhere, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: nobody, user: {token: none}}]
"""
SUPERLINK = "flwr/superlink"


@pytest.fixture
def address(tmp_path: Path, registry_here: None) -> Iterator[str]:
    with real.serving(tmp_path / "images", tmp_path) as address:
        yield address


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a kubeconfig that leads nowhere: whoever gets past the signatures says so."""
    (tmp_path / "kubeconfig").write_text(KUBECONFIG)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    return tmp_path


def write(place: Path, address: str, app: str, *keys: str) -> Path:
    file = place / "federation.yaml"
    text = f"""\
apiVersion: flowerbed.dev/v1alpha1
kind: Federation
metadata: {{name: demo, namespace: research}}
spec:
  app: {{image: "{address}/team/app{app}"}}
  images: {{registry: "{address}"}}
  supernodes: [{{name: site}}]
  security: {{signatures: {{keys: [{", ".join(keys)}]}}}}
"""
    file.write_text(text)
    return file


def test_nothing_is_applied_until_every_image_is_signed(place: Path, address: str, say: Say) -> None:
    mine, other = key(), key()
    (place / "mine.pub").write_bytes(public(mine))
    (place / "other.pub").write_bytes(public(other))
    app = push(address, "team/app", "1")
    superlink = push(address, SUPERLINK, str(DEFAULT.release), note="superlink")
    proxy = push(address, PROXY_REPOSITORY, PROXY_TAG, note="proxy")
    file = write(place, address, ":1", "mine.pub")

    def up() -> tuple[int, str]:
        return say("up", "--file", str(file), "--on", "kubernetes")

    status, said = up()
    assert status == 1
    assert f"{address}/team/app:1@{app}: it has no signature" in said
    assert f"{address}/{SUPERLINK}:{DEFAULT.release}@{superlink}: it has no signature" in said
    assert f"{address}/{PROXY_REPOSITORY}:{PROXY_TAG}@{proxy}: it has no signature" in said
    assert "cosign sign --key" in said

    sign_by_tag(address, PROXY_REPOSITORY, proxy, mine)
    sign_by_tag(address, SUPERLINK, superlink, mine)
    sign_by_tag(address, "team/app", app, other)
    status, said = up()
    assert (status, "superlink" in said) == (1, False)
    assert f"{address}/team/app:1@{app}: it has a signature, and none by a key that is named" in said

    file = write(place, address, ":1", "mine.pub", "other.pub")
    assert "127.0.0.1:1" in up()[1]  # the cluster, which is not there
    tampered = push(address, "team/app", "1", note="tampered")
    status, said = up()
    assert (status, f"{address}/team/app:1@{tampered}: it has no signature" in said) == (1, True)
    file = write(place, address, f":1@{app}", "mine.pub", "other.pub")
    assert "127.0.0.1:1" in up()[1]


def test_what_was_verified_is_what_is_run(place: Path, address: str) -> None:
    from flowerbed.kubernetes.opening import open_file
    from flowerbed.kubernetes.signing import verified

    mine = key()
    (place / "mine.pub").write_bytes(public(mine))
    tags = {"team/app": "1", SUPERLINK: str(DEFAULT.release), PROXY_REPOSITORY: PROXY_TAG}
    digests = {repository: push(address, repository, tag) for repository, tag in tags.items()}
    for repository, digest in digests.items():
        sign_by_tag(address, repository, digest, mine)
    found = verified(open_file(write(place, address, ":1", "mine.pub")), DEFAULT)
    push(address, "team/app", "1", note="another")
    images = {
        container["image"]
        for item in found.objects(DEFAULT, "research")
        for container in item.get("spec", {}).get("template", {}).get("spec", {}).get("containers", [])
    }
    assert images == {f"{address}/{name}:{tag}@{digests[name]}" for name, tag in tags.items()}


def test_a_key_that_is_none_is_told(place: Path, say: Say) -> None:
    file = write(place, "127.0.0.1:1", ":1", "mine.pub")
    status, said = say("up", "--file", str(file), "--on", "kubernetes")
    assert (status, "mine.pub: the key cannot be read" in said) == (1, True)
    (place / "mine.pub").write_text("ssh-rsa AAAA")
    status, said = say("up", "--file", str(file), "--on", "kubernetes")
    assert (status, "mine.pub: this is no public key on the curve P-256" in said) == (1, True)


# Policies.


def policy_of(place: Path, say: Say, who: str) -> dict[str, Any]:
    (place / "mine.pub").write_bytes(public(key()))
    file = write(place, "registry.example.org", ":1", "mine.pub")
    status, said = say("render", "--file", str(file), "--policy", who)
    assert status == 0, said
    (made,) = [item for item in yaml.safe_load_all(said) if "olicy" in item["kind"] and item["kind"] != "NetworkPolicy"]
    assert isinstance(made, dict)
    return made


def test_a_policy_for_kyverno(place: Path, say: Say) -> None:
    made = policy_of(place, say, "Kyverno")
    assert (made["apiVersion"], made["kind"], made["metadata"]["namespace"]) == ("kyverno.io/v1", "Policy", "research")
    (rule,) = made["spec"]["rules"]
    assert rule["match"] == {"any": [{"resources": {"kinds": ["Pod"]}}]}
    (check,) = rule["verifyImages"]
    assert (check["imageReferences"], check["failureAction"]) == (["*"], "Enforce")
    (attestor,) = check["attestors"]
    assert attestor["count"] == 1
    assert [entry["keys"]["publicKeys"] for entry in attestor["entries"]] == [(place / "mine.pub").read_text()]


def test_a_policy_for_the_policy_controller(place: Path, say: Say) -> None:
    made = policy_of(place, say, "PolicyController")
    assert (made["apiVersion"], made["kind"]) == ("policy.sigstore.dev/v1beta1", "ClusterImagePolicy")
    assert "namespace" not in made["metadata"]
    assert [image["glob"] for image in made["spec"]["images"]] == [
        "registry.example.org/team/app:*",
        "registry.example.org/team/app@sha256:*",
        "registry.example.org/flwr/superlink:*",
        "registry.example.org/flwr/superlink@sha256:*",
        f"registry.example.org/{PROXY_REPOSITORY}:*",
        f"registry.example.org/{PROXY_REPOSITORY}@sha256:*",
    ]
    assert [one["key"]["data"] for one in made["spec"]["authorities"]] == [(place / "mine.pub").read_text()]


def test_a_policy_needs_keys(place: Path, say: Say) -> None:
    file = write(place, "registry.example.org", ":1", "mine.pub")
    file.write_text(file.read_text().replace("signatures: {keys: [mine.pub]}", "images: Any"))
    status, said = say("render", "--file", str(file), "--policy", "Kyverno")
    assert (status, "the file names no keys" in said) == (2, True)


@pytest.mark.parametrize("who", ["Kyverno", "PolicyController"])
def test_a_chart_has_the_policy_too(place: Path, say: Say, who: str) -> None:
    (place / "mine.pub").write_bytes(public(key()))
    file = write(place, "registry.example.org", ":1", "mine.pub")
    folder = place / "chart"
    status, said = say("render", "--file", str(file), "--policy", who, "--format", "helm", "--output", str(folder))
    assert status == 0, said
    assert "PUBLIC KEY" in (folder / "templates" / "policies.yaml").read_text()
