"""Makes the volumes of the default storage class: a folder for each claim, removed with it.

Runs in the cluster as ``python -m cluster.storage KUBECONFIG FOLDER`` and keeps the protocol of external provisioners:
the control plane writes into a claim that it waits for `PROVISIONER`, and that is when a volume is made. All nodes see
the same folders, so a Pod may come back on another node, as with a network's storage.
"""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

from cluster.api import Api, Object
from cluster.manifests import PROVISIONER

_WANTED_FROM = "volume.kubernetes.io/storage-provisioner"
_MADE_BY = "pv.kubernetes.io/provisioned-by"
_VOLUMES = "/api/v1/persistentvolumes"
_BETWEEN_LOOKS = 0.1


def look(api: Api, parent: Path) -> None:
    """Make the volumes that claims wait for, and remove those whose claim is gone."""
    claims = api.get("/api/v1/persistentvolumeclaims") or {}
    volumes = api.get(_VOLUMES) or {}
    names = {volume["metadata"]["name"] for volume in volumes.get("items", [])}
    for claim in claims.get("items", []):
        name = f"claim-{claim['metadata']['uid']}"
        if claim["metadata"].get("annotations", {}).get(_WANTED_FROM) != PROVISIONER or name in names:
            continue
        if not claim["spec"].get("volumeName"):
            _make(api, parent / name, name, claim)
    for volume in volumes.get("items", []):
        ours = volume["metadata"].get("annotations", {}).get(_MADE_BY) == PROVISIONER
        released = volume.get("status", {}).get("phase") == "Released"
        if ours and released and volume["spec"]["persistentVolumeReclaimPolicy"] == "Delete":
            shutil.rmtree(volume["spec"]["hostPath"]["path"], ignore_errors=True)
            api.delete(f"{_VOLUMES}/{volume['metadata']['name']}")


def _make(api: Api, folder: Path, name: str, claim: Object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o777)  # Kubernetes gives a hostPath to no group, and Pods here are never root
    metadata, spec = claim["metadata"], claim["spec"]
    reference = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
    reference |= {field: metadata[field] for field in ("namespace", "name", "uid", "resourceVersion")}
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {_MADE_BY: PROVISIONER}},
        "spec": {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": spec["accessModes"],
            "claimRef": reference,
            "storageClassName": spec["storageClassName"],
            "persistentVolumeReclaimPolicy": "Delete",
            "hostPath": {"path": str(folder), "type": "Directory"},
        },
    }
    api.create(_VOLUMES, volume)


def main() -> None:
    """Look again and again, also while the API server is away."""
    api, parent = Api(Path(sys.argv[1])), Path(sys.argv[2])
    while True:
        try:
            look(api, parent)
        except OSError as error:
            print(error, file=sys.stderr, flush=True)
        time.sleep(_BETWEEN_LOOKS)


if __name__ == "__main__":
    main()
