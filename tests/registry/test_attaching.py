"""What is attached to an image is found again, also in a registry that keeps no list of it, which is Debian's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flowerbed.errors import RegistryError
from flowerbed.registry.attaching import EMPTY, attach
from flowerbed.registry.client import Registries
from flowerbed.registry.descriptors import OCI_INDEX, OCI_MANIFEST, digest_of
from flowerbed.registry.pushing import standing
from registry.cutting import cable
from registry.odd_uploads import odd_uploads
from registry.pushing import push

pytestmark = pytest.mark.usefixtures("registry_here")

KIND = "application/vnd.example.note"
NOTE = ("text/plain", b"made on a Monday")


def subject(registries: Registries, name: str, digest: str) -> dict[str, Any]:
    got = registries.raw_manifest(name, digest)
    assert got is not None
    return {"mediaType": got[0], "digest": digest, "size": len(got[1])}


def test_what_is_attached_is_found(shared: str, nobody: Registries) -> None:
    digest, name = push(shared, "attach/app", "1"), f"{shared}/attach/app:1"
    image = subject(nobody, name, digest)
    assert nobody.referrers(name, digest) == []
    note = attach(nobody, name, image, KIND, [NOTE], {"org.example.by": "ann"})
    assert nobody.referrers(name, digest) == [note]
    assert (note["artifactType"], note["annotations"]) == (KIND, {"org.example.by": "ann"})
    assert nobody.manifest(name, note["digest"]) == {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": KIND,
        "config": {"mediaType": EMPTY, "digest": digest_of(b"{}"), "size": 2, "data": "e30="},
        "layers": [{"mediaType": "text/plain", "digest": digest_of(NOTE[1]), "size": len(NOTE[1])}],
        "subject": image,
        "annotations": {"org.example.by": "ann"},
    }
    assert nobody.blob(name, digest_of(NOTE[1])) == NOTE[1]
    other = attach(nobody, name, image, "application/vnd.example.empty", [])
    assert nobody.referrers(name, digest) == [note, other]


def test_the_same_twice_is_there_once(shared: str, nobody: Registries) -> None:
    digest, name = push(shared, "again/app", "1"), f"{shared}/again/app:1"
    image = subject(nobody, name, digest)
    note = attach(nobody, name, image, KIND, [NOTE])
    before = standing(nobody, name, digest.replace(":", "-"))
    assert before is not None
    with cable(shared) as passed:
        again = attach(nobody, f"{passed.address}/again/app:1", image, KIND, [NOTE])
        assert passed.requests("POST") == []
    assert (again, nobody.referrers(name, digest)) == (note, [note])
    assert standing(nobody, name, digest.replace(":", "-")) == before


def test_what_others_attached_stays(shared: str, nobody: Registries) -> None:
    digest, name = push(shared, "others/app", "1"), f"{shared}/others/app:1"
    theirs = push(shared, "others/app", "theirs")
    entry = {**subject(nobody, name, theirs), "artifactType": "application/vnd.example.theirs"}
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry], "annotations": {"kept": "yes"}}
    from registry.pushing import send

    tag = digest.replace(":", "-")
    send(f"http://{shared}/v2/others/app/manifests/{tag}", json.dumps(index).encode(), OCI_INDEX)
    note = attach(nobody, name, subject(nobody, name, digest), KIND, [NOTE])
    assert nobody.manifest(name, tag) == {**index, "manifests": [entry, note]}


def test_a_tag_that_is_something_else_is_left_alone(shared: str, nobody: Registries) -> None:
    digest, name = push(shared, "taken/app", "1"), f"{shared}/taken/app:1"
    tag = digest.replace(":", "-")
    taken = push(shared, "taken/app", tag, note="an image")
    with pytest.raises(RegistryError, match=f"its tag {tag} is no index"):
        attach(nobody, name, subject(nobody, name, digest), KIND, [NOTE])
    assert standing(nobody, name, tag) == taken


def test_a_registry_that_keeps_the_list_itself_gets_no_tag(nobody: Registries, monkeypatch: pytest.MonkeyPatch) -> None:
    image = {"mediaType": OCI_MANIFEST, "digest": digest_of(b"image"), "size": 5}
    with odd_uploads() as (address, server):
        put = server.do_PUT

        def keep(self: Any) -> None:
            if "/manifests/" not in self.path:
                put(self)
                return
            self.asked.append(("PUT", self.path, {}))
            self._read_away()
            self._answer(201, {"OCI-Subject": image["digest"]})

        monkeypatch.setattr(server, "do_PUT", keep)
        note = attach(nobody, f"{address}/app:1", image, KIND, [NOTE])
    asked = [path for method, path, _ in server.asked if "/manifests/" in path]
    assert asked == [f"/v2/app/manifests/{note['digest']}"]
