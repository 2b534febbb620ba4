"""What a federation in a cluster trusts, made of what is there: only what is missing, due or wrong is made anew."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from flowerbed.errors import TrustError, UsageError
from flowerbed.flower.releases import RELEASES, find
from flowerbed.kubernetes import trusting
from flowerbed.kubernetes.manifests.identity import Identity
from flowerbed.kubernetes.manifests.objects import objects
from flowerbed.kubernetes.manifests.run_job import run_job
from flowerbed.kubernetes.manifests.trust import NODE_CSV, admitted_nodes, dismissed_nodes
from flowerbed.spec.model import Federation
from flowerbed.trust import certificates, keys
from flowerbed_inside.unit import node_keys
from kubernetes.federations import SMALL, Object, container, federation, named, workloads
from shown_secrets import shown

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
ROW = find("1.42")


class Namespace:
    """Secrets and ConfigMaps that are there, as `up` leaves them."""

    def __init__(self, text: str = SMALL, flower: str = "1.42") -> None:
        self.federation: Federation = federation(text)
        self.row = find(flower)
        self.identity = Identity.of(self.federation, self.row, "research")
        self.there: dict[str, Object] = {}

    def secret(self, name: str) -> Object | None:
        return self.there.get(f"Secret/{name}")

    def trusts(self, now: datetime = NOW, *, renew: bool = False, take_back: bool = False) -> trusting.Trusts:
        return trusting.wanted(
            self.federation, self.identity, self.secret, now=now, random=os.urandom, renew=renew, take_back=take_back
        )

    def apply(self, trusts: trusting.Trusts) -> set[str]:
        """Apply them and return what has changed."""
        made = {named(item): item for item in trusting.objects(trusts, self.row, self.identity)}
        changed = {name for name, item in made.items() if self.there.get(name) != item}
        self.there.update(made)
        return changed

    def up(self, now: datetime = NOW, *, renew: bool = False) -> set[str]:
        return self.apply(self.trusts(now, renew=renew, take_back=True))

    def data(self, name: str) -> dict[str, bytes]:
        return {key: base64.b64decode(value) for key, value in self.there[f"Secret/{name}"]["data"].items()}

    def change(self, name: str, key: str, value: bytes) -> None:
        self.there[f"Secret/{name}"]["data"][key] = base64.b64encode(value).decode()


@pytest.mark.parametrize("flower", [str(row.minor) for row in RELEASES])
def test_each_pod_finds_what_it_mounts_and_gets_no_more_than_it_reads(flower: str) -> None:
    namespace = Namespace(flower=flower)
    namespace.up()
    mounted: set[str] = set()
    spec = namespace.federation.spec
    job = run_job("demo", "research", 1, namespace.row, spec, config={}, baked=True)
    for item in [*workloads(objects(namespace.federation, namespace.row, namespace="research")), job]:
        spec = item["spec"]["template"]["spec"]
        words = " ".join(container(item)["args"])
        mounts = {mount["name"]: mount for mount in container(item)["volumeMounts"]}
        for volume in spec["volumes"]:
            source = volume.get("secret") or volume.get("configMap")
            if source is None or volume["name"] in ("flowerbed-programs", "flowerbed-proxy"):
                continue
            kind, name = ("Secret", source.get("secretName")) if "secret" in volume else ("ConfigMap", source["name"])
            mounted.add(f"{kind}/{name}")
            assert source["defaultMode"] == 0o440
            mount = mounts[volume["name"]]
            files = namespace.there[f"{kind}/{name}"]["data"]
            assert mount["readOnly"]
            if "subPathExpr" in mount:  # each SuperNode sees its own keys alone
                assert mount["subPathExpr"] == "$(POD_NAME)"
                assert set(files) == {f"{item['metadata']['name']}-{ordinal}" for ordinal in range(2)}
                assert f"--node-keys {mount['mountPath']}=" in words
            else:
                used = any(f"{mount['mountPath']}/{file}" in words for file in files)
                assert used or kind == "ConfigMap", (name, words)  # the authority's certificate is no secret
    assert mounted | {"Secret/demo-authority"} | unmounted(flower) == set(namespace.there)
    assert "Secret/demo-authority" not in mounted


def unmounted(flower: str) -> set[str]:
    """What a release has no use for."""
    return {"Secret/demo-superexec", "Secret/demo-supernode"} if int(flower.split(".")[1]) < 29 else set()


def test_no_secret_is_rendered() -> None:
    namespace = Namespace()
    namespace.up()
    secrets = {
        f"{name}/{key}": base64.b64decode(value)
        for name, item in namespace.there.items()
        for key, value in item["data"].items()
        if item["kind"] == "Secret" and key not in ("tls.crt", "ca.crt", "revoked.json")
    }
    assert len(secrets) == 8
    made = objects(namespace.federation, ROW, namespace="research")
    assert shown(secrets, {named(item): json.dumps(item).encode() for item in made}) == []
    maps = {name: json.dumps(item).encode() for name, item in namespace.there.items() if item["kind"] == "ConfigMap"}
    assert shown(secrets, maps) == []
    assert shown(secrets, {"the Secrets": json.dumps(namespace.there).encode()}) != []


def test_a_second_time_changes_nothing() -> None:
    namespace = Namespace()
    first = namespace.up()
    assert first == set(namespace.there)
    assert namespace.up(NOW + timedelta(days=1)) == set()


def test_only_certificates_that_end_soon_are_renewed_when_they_are_due_or_it_is_wanted() -> None:
    namespace = Namespace()
    namespace.up()
    both = {"Secret/demo-superlink-tls", "Secret/demo-control-client"}
    assert namespace.up(NOW + timedelta(days=59)) == set()
    assert namespace.up(NOW + timedelta(days=61)) == both
    assert namespace.up(NOW + timedelta(days=61), renew=True) == both


def test_only_where_control_is_closed_somebody_has_a_certificate_for_it() -> None:
    namespace = Namespace()
    namespace.up()
    assert {"tls.crt", "tls.key", "ca.crt"} == namespace.data("demo-control-client").keys()
    opened = Namespace(SMALL.replace("spec:\n", "spec:\n  security: {controlApi: Open}\n", 1))
    opened.up()
    assert "Secret/demo-control-client" not in opened.there
    job = run_job("demo", "research", 1, ROW, opened.federation.spec, config={}, baked=True)
    assert "--client-certificate" not in container(job)["args"]
    shown_by = [certificate.name for certificate in trusting.shown(namespace.trusts(), "demo")]
    assert shown_by == ["ca", "superlink", "loopback", "control-client"]


def test_a_certificate_that_is_not_for_control_is_replaced() -> None:
    namespace = Namespace()
    namespace.up()
    for file in ("tls.crt", "tls.key"):
        namespace.change("demo-control-client", file, namespace.data("demo-superlink-tls")[file])
    assert namespace.up() == {"Secret/demo-control-client"}


def test_another_name_makes_another_certificate() -> None:
    namespace = Namespace()
    namespace.up()
    more = SMALL.replace("spec:\n", "spec:\n  security: {tls: {externalNames: [fl.example.org]}}\n", 1)
    namespace.federation = federation(more)
    assert namespace.up() == {"Secret/demo-superlink-tls"}
    said = certificates.describe(namespace.data("demo-superlink-tls")["tls.crt"], "x")
    assert {"demo-superlink", "demo-superlink.research.svc", "localhost", "fl.example.org"} <= set(said.names)


def test_what_was_lost_is_made_anew_and_nothing_else() -> None:
    namespace = Namespace()
    namespace.up()
    del namespace.there["Secret/demo-superexec"]
    namespace.change("demo-site-keys", "demo-site-1", b"no key")
    assert namespace.up() == {"Secret/demo-superexec", "Secret/demo-site-keys", "ConfigMap/demo-nodes"}
    before = namespace.data("demo-superlink-tls")
    namespace.change("demo-superlink-tls", "tls.key", namespace.data("demo-authority")["tls.key"])
    assert namespace.up() == {"Secret/demo-superlink-tls"}
    assert namespace.data("demo-superlink-tls")["tls.crt"] != before["tls.crt"]


def foreign_key(namespace: Namespace) -> None:
    other = Namespace()
    other.up()
    namespace.change("demo-authority", "tls.key", other.data("demo-authority")["tls.key"])


def no_certificate(namespace: Namespace) -> None:
    del namespace.there["Secret/demo-authority"]["data"]["tls.crt"]


def no_json(namespace: Namespace) -> None:
    namespace.change("demo-authority", "revoked.json", b"{")


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (foreign_key, "the key is not that of the certificate beside it"),
        (no_certificate, "this is no authority of Flowerbed's"),
        (no_json, "this is no authority of Flowerbed's"),
    ],
)
def test_an_authority_that_cannot_be_used_is_told_and_stays(harm: Callable[[Namespace], None], why: str) -> None:
    namespace = Namespace()
    namespace.up()
    harm(namespace)
    with pytest.raises(TrustError, match=why) as caught:
        namespace.trusts()
    assert "secret/demo-authority in the namespace research" in str(caught.value.where)
    assert "--volumes" in str(caught.value.hint)


def test_an_authority_of_another_time_is_told() -> None:
    namespace = Namespace()
    namespace.up()
    for now in (NOW - timedelta(days=30), NOW + timedelta(days=4000)):
        with pytest.raises(TrustError, match="authority is good from"):
            namespace.trusts(now)


def test_a_revoked_supernode_is_on_no_list_until_it_is_let_in_with_other_keys() -> None:
    namespace = Namespace()
    namespace.up()
    whole = namespace.trusts()
    assert namespace.apply(trusting.without(whole, "site-1")) == {
        "Secret/demo-authority",
        "Secret/demo-site-keys",
        "ConfigMap/demo-nodes",
    }
    assert namespace.data("demo-site-keys")["demo-site-1"].decode().strip() == node_keys.REVOKED
    assert namespace.up() == set()  # it stays so
    listed = namespace.there["ConfigMap/demo-nodes"]
    assert set(admitted_nodes(listed)) == {"site-0"}
    assert dismissed(listed) == whole.public_keys("site-1")
    assert namespace.trusts().revoked == {"site-1": whole.public_keys("site-1")}

    namespace.apply(trusting.again(namespace.trusts(), "site-1", random=os.urandom))
    after = namespace.trusts()
    assert after.revoked == {trusting.former("site-1"): whole.public_keys("site-1")}  # the SuperLink may have been away
    assert not set(after.public_keys("site-1")) & set(whole.public_keys("site-1"))
    assert after.public_keys("site-0") == whole.public_keys("site-0")
    listed = namespace.there["ConfigMap/demo-nodes"]
    assert admitted_nodes(listed) == {node: after.public_keys(node) for node in ("site-0", "site-1")}
    assert dismissed(listed) == whole.public_keys("site-1")
    assert dismissed_nodes(listed).keys() == {"site-1"}
    assert namespace.up() == set()


def dismissed(listed: Object) -> list[str]:
    return [key for kept in dismissed_nodes(listed).values() for key in kept]


FAR = SMALL.replace("supernodes:", "superlink: {expose: {fleetAddress: fl.example.org:443}}\n  supernodes:").replace(
    "replicas: 2", "replicas: 2, external: true"
)


@pytest.mark.parametrize(
    ("after", "gone", "stays"),
    [
        (FAR.replace("name: site", "name: other"), {"site-0", "site-1"}, set()),
        (FAR.replace("replicas: 2", "replicas: 1"), {"site-1"}, {"site-0"}),
        (SMALL, {"site-0", "site-1"}, set()),
    ],
    ids=["another pool", "a smaller pool", "in the cluster now"],
)
def test_who_ran_elsewhere_and_does_so_no_more_gets_in_with_its_keys_no_more(
    after: str, gone: set[str], stays: set[str]
) -> None:
    namespace = Namespace(FAR)
    namespace.up()
    before = {node: namespace.trusts().public_keys(node) for node in ("site-0", "site-1")}
    namespace.federation = federation(after)
    half = namespace.trusts(take_back=True)
    for killed in range(len(trusting.objects(half, ROW, namespace.identity))):  # `up`, after so many objects
        cut = Namespace(after)
        cut.there = dict(namespace.there)
        for item in trusting.objects(half, ROW, namespace.identity)[:killed]:
            cut.there[named(item)] = item
        cut.up()
        assert cut.up() == set()
        listed = cut.there["ConfigMap/demo-nodes"]
        admitted = [key for kept in admitted_nodes(listed).values() for key in kept]
        assert set(dismissed(listed)) == {key for node in gone for key in before[node]}
        assert not set(dismissed(listed)) & set(admitted)
        assert {key for node in stays for key in before[node]} <= set(admitted)
        assert len(admitted) == cut.federation.spec.supernodes[0].replicas * keys.SPARE_KEYS


def test_only_up_takes_keys_back() -> None:
    """Somebody with an older file may renew a certificate, and no site is out for good."""
    namespace = Namespace(FAR)
    namespace.up()
    namespace.federation = federation(SMALL)
    namespace.apply(namespace.trusts(renew=True))
    assert "ConfigMap/demo-nodes" in namespace.there
    assert dismissed(namespace.there["ConfigMap/demo-nodes"]) == []
    namespace.federation = federation(FAR)
    assert "ConfigMap/demo-nodes" in namespace.up()
    assert namespace.trusts().revoked == {}
    namespace.federation = federation(SMALL)
    namespace.up()
    assert set(namespace.trusts().revoked) == {trusting.former("site-0"), trusting.former("site-1")}


def test_1_22_gets_a_list_as_it_reads_it() -> None:
    namespace = Namespace(flower="1.22")
    namespace.up()
    lines = namespace.there["ConfigMap/demo-nodes"]["data"][NODE_CSV].strip().split(",")
    assert len(lines) == 2 * keys.SPARE_KEYS
    assert all(line.startswith("ecdsa-sha2-nistp384 ") for line in lines)
    other = Namespace()
    other.up()
    assert NODE_CSV not in other.there["ConfigMap/demo-nodes"]["data"]


def test_without_node_auth_nobody_has_a_key() -> None:
    namespace = Namespace(SMALL.replace("spec:\n", "spec:\n  security: {nodeAuth: false}\n", 1))
    namespace.up()
    assert not {"Secret/demo-site-keys", "ConfigMap/demo-nodes"} & set(namespace.there)


def test_a_pool_that_is_too_large_for_a_secret_is_told() -> None:
    namespace = Namespace(SMALL.replace("replicas: 2", f"replicas: {trusting.MOST_IN_POOL + 1}"))
    with pytest.raises(UsageError, match="the pool site has 401 SuperNodes; the keys of 400 fit into a Secret"):
        namespace.trusts()
    largest = Namespace(SMALL.replace("replicas: 2", "replicas: 4"))
    largest.up()
    size = sum(map(len, largest.data("demo-site-keys").values()))  # what the API server adds up
    assert size / 4 * trusting.MOST_IN_POOL < 1024 * 1024
