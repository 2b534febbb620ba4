"""What is said of an image, held to the tools of those who define its form; and how an image's documents are made."""

from __future__ import annotations

import json

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from google.protobuf.json_format import ParseDict
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement
from packageurl import PackageURL

from flowerbed.environments.app_lock import Package
from flowerbed.image.base import Base, Distribution
from flowerbed.image.bill import bill
from flowerbed.image.layers import Layer
from flowerbed.image.manifest import Added, configuration, index, manifest
from flowerbed.image.provenance import Revision, statement

BASE = Base(
    "1.42.0",
    "3.11",
    "python/venv",
    (49999, 49999),
    {"flwr": Distribution("flwr", "1.42.0"), "tqdm": Distribution("tqdm", "1.0")},
    {"torch": "1.13.1+cpu"},
    "glibc 2.36",
    {"ID": "debian", "VERSION_ID": "12"},
    [("libstdc++6", "12.2.0-14+deb12u1", "amd64"), ("zlib1g", "1:1.2.13.dfsg-1", "amd64")],
)
ADDED = [Package("tqdm", "4.66.5", (f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"))]
DIGEST = f"sha256:{'1' * 64}"
WHAT = {"name": "Chest-App", "version": "1.0", "digest": DIGEST, "base_name": "flwr/superexec:1.42.0"}


def test_a_bill_is_valid_and_names_everything_once() -> None:
    made = bill(BASE, ADDED, base_digest=f"sha256:{'2' * 64}", **WHAT)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(made)) is None
    purls = [one["purl"] for one in made["components"]]
    assert purls == [
        "pkg:deb/debian/libstdc%2B%2B6@12.2.0-14%2Bdeb12u1?arch=amd64&distro=debian-12",
        "pkg:deb/debian/zlib1g@1:1.2.13.dfsg-1?arch=amd64&distro=debian-12",
        "pkg:pypi/flwr@1.42.0",
        "pkg:pypi/torch@1.13.1%2Bcpu",
        "pkg:pypi/tqdm@4.66.5",
    ]
    named = [*purls, made["metadata"]["component"]["purl"]]
    assert [PackageURL.from_string(one).to_string() for one in named] == named
    assert made == bill(BASE, ADDED, base_digest=f"sha256:{'2' * 64}", **WHAT)


def test_what_no_bill_may_be_is_seen_by_the_validator() -> None:
    made = bill(BASE, ADDED, base_digest=f"sha256:{'2' * 64}", **WHAT)
    made["components"][0]["type"] = "thing"
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(made)) is not None


def test_a_statement_is_one_of_in_totos_and_its_predicate_one_of_slsas() -> None:
    made = statement(
        image="registry.example.org/team/app",
        digest=DIGEST,
        app="team/app==1.0",
        app_digest=f"sha256:{'3' * 64}",
        base="flwr/superexec:1.42.0",
        base_digest=f"sha256:{'2' * 64}",
        lock_digest=f"sha256:{'4' * 64}",
        added=ADDED,
        revision=Revision("5" * 40, clean=False),
        platform="linux/amd64",
    )
    read = Statement.copy_from_pb(ParseDict(made, statement_pb2.Statement()))
    read.validate()
    predicate = ParseDict(made["predicate"], provenance_pb2.Provenance())  # fields that are not there are an error
    assert [one.digest["sha256"] for one in read.pb.subject] == ["1" * 64]
    used = {one.name or one.uri: one for one in predicate.build_definition.resolved_dependencies}
    assert used["flwr/superexec:1.42.0"].digest["sha256"] == "2" * 64
    assert used["app.lock"].digest["sha256"] == "4" * 64
    assert used["git"].digest["gitCommit"] == "5" * 40
    assert used["git"].annotations["clean"] is False
    assert "pkg:pypi/tqdm@4.66.5" in used


LAYER = Layer(f"sha256:{'6' * 64}", f"sha256:{'7' * 64}", 10)


def test_an_image_that_would_run_as_root_runs_as_flowers_user() -> None:
    for user, becomes in (("", "49999:49999"), ("root", "49999:49999"), ("0:0", "49999:49999"), ("app", "app")):
        made = json.loads(configuration({"config": {"User": user}}, [], {}).body)
        assert made["config"]["User"] == becomes


def test_a_base_of_dockers_becomes_an_image_of_ocis() -> None:
    layer = {"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "digest": DIGEST, "size": 5}
    config = configuration({"rootfs": {"diff_ids": [DIGEST]}}, [Added(LAYER, "the app")], {"a": "b"})
    made = json.loads(manifest({"layers": [layer]}, config, [Added(LAYER, "the app")], {}).body)
    assert [one["mediaType"].rpartition(".")[2] for one in made["layers"]] == ["tar+gzip", "tar+zstd"]
    assert made["layers"][0]["digest"] == DIGEST
    assert json.loads(config.body)["rootfs"]["diff_ids"] == [DIGEST, LAYER.diff_id]
    assert json.loads(config.body)["history"][-1]["created_by"] == "flowerbed build: the app"


def test_an_index_has_each_machines_image() -> None:
    config = configuration({}, [], {})
    one, other = (manifest({"layers": []}, config, [], {"n": name}) for name in ("one", "other"))
    made = json.loads(
        index(
            [(one, {"os": "linux", "architecture": "amd64"}), (other, {"os": "linux", "architecture": "arm64"})], {}
        ).body
    )
    assert [(item["digest"], item["platform"]["architecture"]) for item in made["manifests"]] == [
        (one.digest, "amd64"),
        (other.digest, "arm64"),
    ]
