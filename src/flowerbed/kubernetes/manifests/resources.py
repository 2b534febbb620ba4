"""What containers ask for and get at most: the file's words, and defaults for what it does not say."""

from __future__ import annotations

from flowerbed.kubernetes.manifests.identity import Object
from flowerbed.spec.kubernetes import Resources
from flowerbed.spec.quantity import amount

SUPERLINK = Resources(requests={"cpu": "250m", "memory": "512Mi"}, limits={"cpu": "1", "memory": "1Gi"})
SERVERAPP = Resources(requests={"cpu": "250m", "memory": "512Mi"}, limits={"cpu": "1", "memory": "1Gi"})
SUPERNODE = Resources(requests={"cpu": "250m", "memory": "512Mi"}, limits={"cpu": "1", "memory": "1Gi"})


def resources(given: Resources, default: Resources) -> Object:
    """Return a container's resources.

    A default gives way to what is given: a limit is never below the request, nor a request above the limit.
    """
    requests = {**default.requests, **given.requests}
    limits = {**default.limits, **given.limits}
    for name in requests.keys() & limits.keys():
        if amount(requests[name]) > amount(limits[name]):
            if name in given.limits:
                requests[name] = limits[name]
            else:
                limits[name] = requests[name]
    return {"requests": requests, "limits": limits}
