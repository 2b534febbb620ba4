"""Small Pods for tests of the cluster itself."""

from __future__ import annotations

import json
from typing import Any

from cluster import Cluster
from cluster.recipes import APP_USER

IMAGE = "flwr/superexec:1.42.0"
"""An image with a shell and a Python."""


def pod(name: str, command: str, *, image: str = IMAGE, **spec: Any) -> dict[str, Any]:
    """Return a Pod that runs a shell command, as Pod Security `restricted` wants it."""
    container = {
        "name": "main",
        "image": image,
        "command": ["sh", "-c", command],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": spec.pop("mounts", []),
    }
    security = {"runAsNonRoot": True, "runAsUser": APP_USER, "seccompProfile": {"type": "RuntimeDefault"}}
    rules = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "securityContext": security}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {**rules, "containers": [container], **spec},
    }


def web_server(name: str, **spec: Any) -> dict[str, Any]:
    """Return a Pod that tells its own name to whoever asks at port 8000."""
    made = pod(name, f"cd /tmp && echo {name} > index.html && exec python -m http.server", **spec)
    made["spec"]["containers"][0]["readinessProbe"] = {"httpGet": {"port": 8000}, "periodSeconds": 1}
    return made


def service(name: str) -> dict[str, Any]:
    """Return a Service for the Pod of that name."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8000}]},
    }


def fetch(url: str) -> str:
    """Return the shell command that prints a web page; a Service works a moment after its Pod is ready."""
    ask = f"from urllib.request import urlopen; print(urlopen('{url}', timeout=5).read().decode())"
    return f'for _ in $(seq 100); do python -c "{ask}" 2>/dev/null && break; sleep 0.1; done'


def create(cluster: Cluster, namespace: str, *objects: dict[str, Any]) -> None:
    """Create objects in a namespace."""
    content = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
    cluster.kubectl("-n", namespace, "create", "-f", "-", input=json.dumps(content))


def until_ready(cluster: Cluster, namespace: str, *names: str) -> None:
    """Wait until Pods are ready."""
    pods = [f"pod/{name}" for name in names]
    cluster.kubectl("-n", namespace, "wait", *pods, "--for=condition=Ready", "--timeout=90s")
