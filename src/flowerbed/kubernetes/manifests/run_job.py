"""The Job that submits a run from inside the cluster, with the app's image."""

from __future__ import annotations

import json
from collections.abc import Mapping

from flowerbed.flower.apis import Api
from flowerbed.flower.releases import Row
from flowerbed.kubernetes.labels import FEDERATION, VERSION
from flowerbed.kubernetes.manifests import names, programs, trust
from flowerbed.kubernetes.manifests.edges import door
from flowerbed.kubernetes.manifests.expansion import literal
from flowerbed.kubernetes.manifests.identity import Object
from flowerbed.kubernetes.manifests.placement import pod_fields
from flowerbed.kubernetes.manifests.places import SCRATCH
from flowerbed.kubernetes.manifests.pod import (
    PATH,
    SCRATCH_MOUNT,
    SCRATCH_VOLUME,
    container_security,
    pod_security,
    pull_policy,
)
from flowerbed.kubernetes.manifests.trust_sources import trust_sources
from flowerbed.kubernetes.run_records import object_name, run_labels
from flowerbed.spec.model import FederationSpec
from flowerbed.spec.tls import TlsMode

CONTAINER = "submit"
INBOX = f"{SCRATCH}/inbox"
BAKED = "/app"
"""Where an image holds its app: the home folder of Flower's images."""

DEADLINE_SECONDS = 600
KEPT_SECONDS = 24 * 60 * 60
"""A finished Job goes by itself after a day; the run's record stays."""

RESOURCES: Object = {
    "requests": {"cpu": "100m", "memory": "256Mi"},
    "limits": {"cpu": "1", "memory": "512Mi"},
}


def run_job(
    federation: str,
    namespace: str,
    number: int,
    row: Row,
    spec: FederationSpec,
    *,
    config: Mapping[str, object],
    baked: bool,
) -> Object:
    """Return the Job.

    Parameters
    ----------
    federation, namespace : str
        Whose run it is.
    number : int
        The run's number.
    row : Row
        The Flower release.
    spec : FederationSpec
        What the file says: the app's image, and where the ServerApp's side may run, which the Job may too.
    config : mapping of str to object
        The run config.
    baked : bool
        Submit what the image holds, instead of waiting for a folder to be streamed in.
    """
    contract = row.contract
    _, port = door(spec, row, Api.CONTROL)
    address = f"{names.superlink(federation)}:{port}"
    source = ["--baked", BAKED] if baked else ["--inbox", INBOX]
    environment = {
        "PATH": PATH,
        "HOME": SCRATCH,
        "FLWR_HOME": f"{SCRATCH}/flwr",
        "FLOWERBED_RUN_CONFIG": json.dumps(config, sort_keys=True),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "no_proxy": names.superlink(federation),
    }
    app = spec.app
    kept = trust.NOTHING
    if spec.tls_mode is not TlsMode.DISABLED:
        kept = trust.of_run(trust_sources(federation, spec), client=spec.control_closed)
    labels = {**run_labels(federation, number), VERSION: str(row.release)}
    meta = {"name": object_name(federation, number), "namespace": namespace}
    secrets = [{"name": secret.name} for secret in app.image_pull_secrets]
    pod = {
        **({"imagePullSecrets": secrets} if secrets else {}),
        **pod_security(),
        **pod_fields(spec.serverapp),
        "restartPolicy": "Never",
        "containers": [
            {
                "name": CONTAINER,
                "image": app.image,
                **pull_policy(app),
                "command": list(programs.SUBMIT),
                "args": ["--dialect", contract.dialect, "--address", address, *kept.options, *source],
                "env": [{"name": name, "value": literal(value)} for name, value in environment.items()],
                "resources": RESOURCES,
                "securityContext": container_security(),
                "volumeMounts": [programs.MOUNT, SCRATCH_MOUNT, *kept.mounts],
            }
        ],
        "volumes": [programs.volume(federation), SCRATCH_VOLUME, *kept.volumes],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {**meta, "labels": {**labels, FEDERATION: federation}},
        "spec": {
            "backoffLimit": 0,  # a second start would be a second run
            "activeDeadlineSeconds": DEADLINE_SECONDS,
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
