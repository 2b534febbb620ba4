"""Locked images: what a lock comes to, and what it does to a federation's images."""

from __future__ import annotations

from flowerbed.flower.releases import RELEASES
from flowerbed.kubernetes.locking import locked, names
from flowerbed.kubernetes.manifests import images
from flowerbed.kubernetes.manifests.objects import objects
from flowerbed.spec.lock import Lock
from flowerbed.spec.model import API_VERSION, KIND, Federation
from kubernetes.federations import workloads

ROW = RELEASES[-1]
OLDER = RELEASES[0]
ONE, TWO, THREE = (f"sha256:{str(number) * 64}" for number in (1, 2, 3))
SUPERLINK = f"flwr/superlink:{ROW.release}"
PROXY = f"{images.PROXY_REPOSITORY}:{images.PROXY_TAG}"
SMALL: dict[str, object] = {"app": {"image": "example.org/app:1"}, "supernodes": [{"name": "site"}]}


def federation(spec: dict[str, object]) -> Federation:
    return Federation.model_validate(
        {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": "demo"}, "spec": spec}
    )


def images_of(spec: dict[str, object], locked: dict[str, str]) -> set[str]:
    pinned = images.pinned(federation(spec), ROW, locked)
    pods = [item["spec"]["template"]["spec"] for item in workloads(objects(pinned, ROW))]
    return {container["image"] for pod in pods for container in pod["containers"]}


def test_locked_images_are_named_by_digest() -> None:
    lock = {"example.org/app:1": ONE, SUPERLINK: TWO, PROXY: THREE}
    assert images_of(SMALL, lock) == {f"example.org/app:1@{ONE}", f"{SUPERLINK}@{TWO}", f"{PROXY}@{THREE}"}
    quickstart = {**SMALL, "layout": "Quickstart"}
    supernode = f"flwr/supernode:{ROW.release}"
    assert images_of(quickstart, {**lock, supernode: THREE}) == {
        f"example.org/app:1@{ONE}",
        f"{SUPERLINK}@{TWO}",
        f"{supernode}@{THREE}",
    }


def test_a_lock_for_other_names_changes_nothing() -> None:
    lock = {"example.org/app:2": ONE, "flwr/superlink:1.0.0": TWO}
    assert images_of(SMALL, lock) == {"example.org/app:1", SUPERLINK, PROXY}


def test_the_files_own_digests_and_names_go_before_the_lock() -> None:
    own = {**SMALL, "superlink": {"image": "example.org/superlink"}, "app": {"image": f"example.org/app:1@{THREE}"}}
    own["images"] = {"proxy": "own:1"}
    lock = {"example.org/app:1": ONE, "example.org/superlink": TWO, SUPERLINK: ONE}
    assert images_of(own, lock) == {f"example.org/app:1@{THREE}", f"example.org/superlink@{TWO}", "own:1"}


def test_pinned_is_satisfied_by_a_lock() -> None:
    spec = {**SMALL, "security": {"images": "Pinned"}}
    made = federation(spec)
    assert len(images.image_problems(made, ROW)) == 3
    locked_images = {"example.org/app:1": ONE, SUPERLINK: TWO, PROXY: THREE}
    assert images.image_problems(images.pinned(made, ROW, locked_images), ROW) == []


def test_every_image_is_asked_for_once() -> None:
    same = {**SMALL, "superlink": {"image": "example.org/app:1"}}
    assert names(federation(same), ROW) == ["example.org/app:1", PROXY]


def test_what_is_locked_of_the_environment_stays_with_its_release() -> None:
    digests = {"example.org/app:1": ONE, f"example.org/other@{TWO}": TWO}
    before = Lock(str(ROW.release), "3.11", ONE, "environment", {"example.org/gone": THREE})
    after = locked(before, ROW, digests)
    assert after == Lock(str(ROW.release), "3.11", ONE, "environment", {"example.org/app:1": ONE})
    assert locked(before, OLDER, digests) == Lock(str(OLDER.release), images={"example.org/app:1": ONE})
    assert locked(None, ROW, digests) == Lock(str(ROW.release), images={"example.org/app:1": ONE})
