"""What is in a kit, and what is not."""

from __future__ import annotations

import io
import json
import secrets
import stat
import subprocess
import sys
import tarfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from flowerbed.errors import UsageError
from flowerbed.flower.releases import RELEASES, find
from flowerbed.local import trusting
from flowerbed.local.layout import StateFolder
from flowerbed.sites import archive, kit
from flowerbed.sites.kit import File, Wanted
from flowerbed.spec.app import parse_app
from flowerbed.spec.load import parse
from flowerbed.spec.model import Federation
from flowerbed.trust import certificates
from flowerbed.trust.servers import LOOPBACK
from flowerbed_inside import bundles
from flowerbed_inside.site import start
from flowerbed_inside.unit import node_keys

NOW = datetime(2030, 1, 1, tzinfo=UTC)
FILE = """\
apiVersion: flowerbed.dev/v1alpha1
kind: Federation
metadata: {name: study}
spec:
  app: {image: "ghcr.io/example/app:1.0", imagePullSecrets: [{name: ours}]}
  supernodes:
    - {name: lab}
    - name: hospital
      replicas: 2
      external: true
      nodeConfig: {dataset: chest, note: "{kit} {work}"}
      env: {SITE: north}
  superlink: {expose: {fleetAddress: "fl.example.org:443"}}
"""
PROGRAMS = {
    *bundles.bundle(bundles.UNIT, bundles.LAUNCH),
    *("bin/flower-superexec", "bin/flower-supernode", "bin/flwr-clientapp"),
}

STARTED = ("/start", "/programs/bin/flwr-clientapp")
"""What somebody starts by its path or by its name."""


def federation(text: str = FILE) -> Federation:
    return parse(text, "federation.yaml").federation


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> StateFolder:
    """The state folder of a federation whose keys are there."""
    folder = StateFolder(tmp_path_factory.mktemp("study") / ".flowerbed")
    trusting.kit(federation(), "hospital-1", folder)
    return folder


def wanted(state: StateFolder, flower: str = "1.42", text: str = FILE) -> Wanted:
    own, authority = trusting.kit(federation(text), "hospital-1", state)
    return Wanted(federation(text), find(flower), "hospital-1", own, (authority,), ("numpy>=2",))


def made(asked: Wanted) -> dict[str, File]:
    return kit.files(asked, now=NOW, random=secrets.token_bytes)


def test_everything_in_it_is_listed(state: StateFolder) -> None:
    found = made(wanted(state))
    assert set(found) == {
        *("README.md", "start", "site.json", "requirements.txt", "ca.crt"),
        *("keys/node", "keys/loopback.crt", "keys/loopback.key", "keys/superexec.secret"),
        *(f"programs/{name}" for name in PROGRAMS),
        *("kustomization.yaml", "kubernetes/deployment.yaml", "kubernetes/networkpolicy.yaml"),
    }
    assert {name for name, file in found.items() if file.executable} == {"start", "programs/bin/flwr-clientapp"}
    assert found["requirements.txt"].content == b"flwr==1.42.0\nnumpy>=2\n"
    without = made(wanted(state, text=FILE.replace('image: "ghcr.io/example/app:1.0", ', "")))
    assert set(found) - set(without) == {name for name in found if name.startswith("ku")}
    assert b"kubectl" in found["README.md"].content
    assert b"kubectl" not in without["README.md"].content
    for file in (found["README.md"], without["README.md"]):
        assert b"@" not in file.content


def test_no_secret_of_others_is_in_it(state: StateFolder) -> None:
    asked = wanted(state)
    everything = b"\0".join(file.content for file in made(asked).values())
    secret = {
        str(path.relative_to(state.trust.root)): path.read_bytes()
        for path in state.trust.root.rglob("*")
        if path.is_file() and path.suffix not in (".crt", ".pem", ".pub", ".csv")
    }
    own = secret.pop("nodes/hospital-1")
    others = {"ca.key", "superlink.key", "loopback.key", "superexec.secret", "nodes/lab-0", "nodes/hospital-0"}
    assert set(secret) == others
    for name, content in secret.items():
        lines = content.splitlines() if b"-----" in content else [content]
        parts = [line for line in lines if line not in own]  # keys of one kind begin alike
        assert len(parts) >= 1
        assert [part for part in parts if part in everything and not part.startswith(b"-----")] == [], name
    assert own in everything
    assert everything.count(b"PRIVATE KEY-----\n") == 2 * (3 + 1)  # the node's, and the loopback certificate's


def test_what_its_programs_know_each_other_by_is_its_own(state: StateFolder) -> None:
    one, other = made(wanted(state)), made(wanted(state))
    for name in ("keys/loopback.key", "keys/superexec.secret"):
        assert one[name].content != other[name].content
    federations, own = one["ca.crt"].content.split(b"-----END CERTIFICATE-----\n")[:2]
    own += b"-----END CERTIFICATE-----\n"
    served = one["keys/loopback.crt"].content
    assert certificates.signed_by(served, own, "here")
    assert not certificates.signed_by(served, federations + b"-----END CERTIFICATE-----\n", "here")
    issued = certificates.Issued(served, one["keys/loopback.key"].content)
    assert certificates.serves(issued, own, LOOPBACK, "here")
    assert len(node_keys.parse(one["keys/node"].content.decode())) == 3
    assert one["keys/node"].content == other["keys/node"].content


def test_another_authority_is_trusted_too(state: StateFolder) -> None:
    more = certificates.new_authority("the Ingress", now=NOW, random=secrets.token_bytes).certificate
    asked = wanted(state)
    found = made(replace(asked, authorities=(*asked.authorities, more)))["ca.crt"].content
    assert found.count(b"BEGIN CERTIFICATE") == 3
    assert more in found


def test_the_tar_is_for_its_owner_only(state: StateFolder, tmp_path: Path) -> None:
    asked = wanted(state)
    path = tmp_path / "kit.tar"
    path.write_text("an older one")
    path.chmod(0o644)
    archive.write(path, asked.name, made(asked), now=NOW)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with tarfile.open(path) as tar:
        entries = tar.getmembers()
        tar.extractall(tmp_path, filter="data")
    assert {entry.name.partition("/")[0] for entry in entries} == {"study-hospital-1"}
    modes = {(entry.isdir(), entry.mode) for entry in entries if not entry.name.endswith(STARTED)}
    assert modes == {(True, 0o700), (False, 0o600)}
    assert {(entry.uid, entry.gid, entry.uname, entry.mtime) for entry in entries} == {(0, 0, "", NOW.timestamp())}
    for started in STARTED:
        assert stat.S_IMODE((tmp_path / asked.name / started[1:]).stat().st_mode) == 0o700
    content = tarfile.open(fileobj=io.BytesIO(path.read_bytes())).extractfile(f"{asked.name}/keys/node")  # noqa: SIM115
    assert content is not None
    assert content.read() == asked.keys


@pytest.mark.parametrize("release", [str(row.minor) for row in RELEASES])
def test_the_start_of_every_release_names_files_of_the_kit_and_its_own_work(state: StateFolder, release: str) -> None:
    asked = wanted(state, release)
    found = made(asked)
    site = json.loads(found["site.json"].content)
    words = start.command(site, Path("/kit"), Path("/kit/work"), 4711)
    named = {word.removeprefix("/kit/") for word in words if word.startswith("/kit/") and "/work/" not in word}
    assert named - {"programs/flowerbed_inside"} <= set(found)
    assert "programs/flowerbed_inside/__main__.py" in found
    superlink = [words[at + 1] for at, word in enumerate(words) if word == "--superlink"]
    assert superlink == ["fl.example.org:443"]
    here = [word for word in words if word.endswith("4711")]
    listens = "127.0.0.1:4711" if find(release).minor < find("1.35").minor else "4711"
    assert here == ["superexec=127.0.0.1:4711", listens, "127.0.0.1:4711"]
    config = words[words.index("--node-config") + 1]
    assert config == 'partition-id=2 num-partitions=3 dataset="chest" note="{kit} {work}"'
    assert words.count("SITE=north") == 2
    assert [word for word in words if word.startswith("FLWR_HOME=")] == [
        "FLWR_HOME=/kit/work/home-supernode",
        "FLWR_HOME=/kit/work/home-superexec",
    ]
    keys = [words[at + 1] for at, word in enumerate(words) if word.startswith("--auth-supernode")]
    assert keys == ["/kit/work/node/key", "/kit/work/node/key.pub"][: len(keys)]
    assert keys


def objects(state: StateFolder, flower: str = "1.42") -> dict[str, Any]:
    found = made(wanted(state, flower))
    texts = [file.content for name, file in found.items() if name.startswith("ku")]
    return {item["kind"]: item for item in map(yaml.safe_load, texts)}


def test_in_a_cluster_it_is_one_pod_that_nobody_reaches(state: StateFolder) -> None:
    found = objects(state)
    assert set(found) == {"Kustomization", "Deployment", "NetworkPolicy"}
    deployment = found["Deployment"]
    name = "study-hospital-1"
    assert (deployment["metadata"]["name"], deployment["spec"]["replicas"]) == (name, 1)
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    pod = deployment["spec"]["template"]["spec"]
    assert "imagePullSecrets" not in pod
    args = pod["containers"][0]["args"]
    assert "supernode=fl.example.org:443" in args
    assert "study-superlink" not in " ".join(args)
    assert found["NetworkPolicy"]["spec"] == {
        "podSelector": {"matchLabels": deployment["spec"]["selector"]["matchLabels"]},
        "policyTypes": ["Ingress"],
    }
    assert deployment["metadata"]["labels"]["app.kubernetes.io/instance"] == name  # not one of the federation's


def test_the_file_says_how_long_a_supernode_has_to_reply(state: StateFolder) -> None:
    text = FILE.replace("external: true", "external: true\n      terminationGracePeriodSeconds: 630")
    longer, plain = made(wanted(state, text=text)), made(wanted(state))
    for found, grace, finish in ((longer, 630, ["--finish", "600"]), (plain, 30, [])):
        pod = yaml.safe_load(found["kubernetes/deployment.yaml"].content)["spec"]["template"]["spec"]
        args = pod["containers"][0]["args"]
        at = args.index("--finish") if "--finish" in args else len(args)
        assert (pod["terminationGracePeriodSeconds"], args[at : at + 2]) == (grace, finish)
        assert json.loads(found["site.json"].content)["finish"] == grace - 30
    assert b"has 600 seconds to reply" in longer["README.md"].content
    assert b"`start --finish 600`" in plain["README.md"].content


def test_kustomize_finds_every_file_and_the_pod_every_name(state: StateFolder) -> None:
    found = objects(state)
    files = set(made(wanted(state)))
    kustomization, pod = found["Kustomization"], found["Deployment"]["spec"]["template"]["spec"]
    assert set(kustomization["resources"]) <= files
    [secret], programs = kustomization["secretGenerator"], kustomization["configMapGenerator"]
    held = {one["name"]: dict(line.split("=", 1) for line in one["files"]) for one in (secret, *programs)}
    assert {path for one in held.values() for path in one.values()} <= files
    assert {path for path in files if path.startswith("keys/")} | {"ca.crt"} == set(held[secret["name"]].values())
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes["flowerbed-kit"]["secret"]["secretName"] == secret["name"]
    sources = volumes["flowerbed-programs"]["projected"]["sources"]
    assert {source["configMap"]["name"] for source in sources} == {one["name"] for one in programs}
    for source in sources:
        mounted = held[source["configMap"]["name"]]
        assert {item["key"] for item in source["configMap"]["items"]} == set(mounted)
        for item in source["configMap"]["items"]:  # at the same place as where the kit is started by hand
            assert mounted[item["key"]] == f"programs/{item['path']}" or item["key"] == "launcher"
    args = pod["containers"][0]["args"]
    kept = {word.rpartition("/")[2] for word in args if word.startswith("/flowerbed-trust/kit/") and "=" not in word}
    assert kept <= set(held[secret["name"]])


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ("lab-0", "lab-0 runs here, and kits are for those that run elsewhere"),
        ("hospital-2", "there is no SuperNode 'hospital-2', and kits are for those that run elsewhere"),
        ("../lab-0", "there is no SuperNode '../lab-0', and kits are for those that run elsewhere"),
    ],
)
def test_only_who_runs_elsewhere_has_a_kit(node: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        kit.require_external(federation(), node, "here")
    assert caught.value.message == said


def test_an_app_asks_for_what_can_be_asked_for_elsewhere() -> None:
    text = """\
[project]
name = "app"
version = "1"
dependencies = ["flwr[simulation]>=1.22", "numpy>=2", "ours @ https://user:token@example.org/ours.whl"]
[tool.flwr.app]
publisher = "me"
[tool.flwr.app.components]
serverapp = "app:server"
clientapp = "app:client"
"""
    assert kit.requirements(parse_app(text, "pyproject.toml")) == ("numpy>=2",)
    assert kit.requirements(None) == ()


def unpacked(state: StateFolder, folder: Path, **changes: object) -> Path:
    asked = wanted(state)
    archive.write(folder / "kit.tar", asked.name, made(asked), now=NOW)
    with tarfile.open(folder / "kit.tar") as tar:
        tar.extractall(folder, filter="data")
    site = folder / asked.name / "site.json"
    site.write_text(json.dumps({**json.loads(site.read_text()), **changes}))
    return folder / asked.name


def run(kit_folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(kit_folder / "start")]
    return subprocess.run(
        command, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=60, check=False
    )


def test_without_that_release_it_says_which(state: StateFolder, tmp_path: Path) -> None:
    done = run(unpacked(state, tmp_path))
    assert done.returncode == 2
    assert done.stdout.startswith("[flowerbed: this kit is for Flower 1.42.0, and ")
    assert "has no Flower: pip install -r requirements.txt]" in done.stdout
