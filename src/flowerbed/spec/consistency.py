"""Rules between fields: names that clash, or that are too long together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from flowerbed.spec.finding import Finding, Path, dotted
from flowerbed.spec.quantity import amount
from flowerbed.spec.values import NAME_LENGTH, duration_seconds

INCONSISTENT = "flowerbed.inconsistent"
"""The type of pydantic's error for a broken rule; the file's reader looks for these by itself, to place each."""

# The longest name that is made from both is FEDERATION-POOL-9999-superexec, a DNS label of at most 63.
# On Kubernetes FEDERATION-POOL is a StatefulSet's name, and that with eleven more characters a label: it fits as well.
_LONGEST_PAIR = 63 - len("-") - len("-9999-superexec")
_LONGEST_LABEL = 63

_COLOCATED_ONLY: tuple[Path, ...] = (
    ("spec", "nodeDrain"),
    ("spec", "access"),
    ("spec", "security", "networkPolicies"),
    ("spec", "security", "controlApi"),
    ("spec", "security", "dns"),
    ("spec", "serverapp", "egress"),
)

_COLOCATED_POOLS = ("egress", "terminationGracePeriodSeconds")

_TLS_NEEDS = {
    "Secret": ("secretName", "name the Secret with the SuperLink's certificate"),
    "CertManager": ("issuerRef", "name the Issuer or ClusterIssuer of cert-manager: issuerRef: {name: …}"),
}
_TLS_FIELDS = {
    "secretName": ("Secret",),
    "trustBundle": ("Secret", "CertManager"),
    "issuerRef": ("CertManager",),
    "duration": ("CertManager",),
    "renewBefore": ("CertManager",),
}
_SHORTEST_CERTIFICATE = 3600
_SHORTEST_RENEWAL = 300
"""Both in seconds (cert-manager.io, "Certificate", duration and renewBefore)."""
_DEFAULT_CERTIFICATE = 90 * 86400
_HERE_ONLY = (
    *("nodeSelector", "tolerations", "affinity", "runtimeClassName", "priorityClassName"),
    *("envFrom", "volumes", "resources", "gpus", "egress", "topologySpreadConstraints"),
)
"""Fields of a pool that say something of Pods of ours."""

GPU_RESOURCE = "nvidia.com/gpu"
"""What GPUs are called where the file does not say it."""


def inconsistencies(data: object) -> Iterator[Finding]:
    """Yield what is wrong between fields of a federation, given as it is written.

    Whatever has another fault of its own is passed over, so that a file's faults are all found in one reading.
    """
    name = _get(data, "metadata", "name")
    pools = _get(data, "spec", "supernodes")
    first: dict[str, int] = {}
    for index, pool in enumerate(pools if isinstance(pools, Sequence) and not isinstance(pools, str) else ()):
        pool_name = _get(pool, "name")
        if not isinstance(pool_name, str):
            continue
        path: Path = ("spec", "supernodes", index, "name")
        if pool_name in first:
            yield Finding(path, f'"{pool_name}" is already the name of spec.supernodes[{first[pool_name]}]')
        first.setdefault(pool_name, index)
        if (
            isinstance(name, str)
            and max(len(name), len(pool_name)) <= NAME_LENGTH
            and len(name) + len(pool_name) > _LONGEST_PAIR
        ):
            yield Finding(
                path,
                f'is {len(name) + len(pool_name)} characters long together with the federation\'s name "{name}"; '
                f"at most {_LONGEST_PAIR} fit into a component's DNS name",
                "shorten either name",
            )
    yield from _quickstart_names(data)
    yield from _security(data)
    yield from _outside(data)
    yield from _images(data)
    yield from _ports(data)
    yield from _resources(data, ("spec", "superlink"))
    if _get(data, "spec", "layout") == "Quickstart":
        yield from _quickstart_spreading(data)
        yield from _quickstart_lacks(data)
    for path in (("spec", "serverapp"), *(("spec", "supernodes", index) for index in range(_length(pools)))):
        yield from _resources(data, path)
        yield from _gpus(data, path)
        yield from _volumes(data, path)


def _quickstart_names(data: object) -> Iterator[Finding]:
    """Check the longest name that only ``layout: Quickstart`` makes: FEDERATION-superexec-clientapp-PARTITION."""
    name, pools = _get(data, "metadata", "name"), _get(data, "spec", "supernodes")
    if not isinstance(name, str) or len(name) > NAME_LENGTH or _get(data, "spec", "layout") != "Quickstart":
        return
    counts = [_get(pools, index, "replicas") for index in range(_length(pools))]
    total = sum(count if isinstance(count, int) else 1 for count in counts)
    rest = len(f"-superexec-clientapp-{max(total - 1, 0)}")
    if len(name) + rest > _LONGEST_LABEL:
        yield Finding(
            ("metadata", "name"),
            f"is {len(name)} characters long; with {total} SuperNodes and layout: Quickstart at most "
            f"{_LONGEST_LABEL - rest} fit into the names that are made from it",
        )


def _ports(data: object) -> Iterator[Finding]:
    ports = _get(data, "spec", "superlink", "ports")
    numbers: dict[int, str] = {}
    for port, number in ports.items() if isinstance(ports, Mapping) else ():
        if isinstance(number, int) and numbers.setdefault(number, port) != port:
            yield Finding(
                ("spec", "superlink", "ports", port), f"{number} is already the {numbers[number]} port's number"
            )


def _resources(data: object, path: Path) -> Iterator[Finding]:
    requests, limits = (_get(data, *path, "resources", kind) for kind in ("requests", "limits"))
    if not isinstance(requests, Mapping) or not isinstance(limits, Mapping):
        return
    for name in requests.keys() & limits.keys():
        asked, most = _amount(requests[name]), _amount(limits[name])
        if asked is not None and most is not None and asked > most:
            yield Finding(
                (*path, "resources", "requests", name), f"{requests[name]} is more than the limit, {limits[name]}"
            )


def _gpus(data: object, path: Path) -> Iterator[Finding]:
    if not isinstance(_get(data, *path, "gpus"), Mapping):
        return
    resource = _get(data, *path, "gpus", "resource") or GPU_RESOURCE
    for kind in ("requests", "limits"):
        said = _get(data, *path, "resources", kind)
        if isinstance(said, Mapping) and resource in said:
            yield Finding(
                (*path, "resources", kind, str(resource)),
                f"is said by {dotted(path)}.gpus already",
                "keep one of the two",
            )


def _tls_mode(data: object) -> object:
    mode = _get(data, "spec", "security", "tls", "mode")
    if mode is None:
        return "Disabled" if _get(data, "spec", "layout") == "Quickstart" else "Auto"
    return mode


def _security(data: object) -> Iterator[Finding]:
    security: Path = ("spec", "security")
    quickstart = _get(data, "spec", "layout") == "Quickstart"
    mode = _tls_mode(data)
    yield from _tls(data, (*security, "tls"), str(mode), quickstart=quickstart)
    if mode != "Disabled":
        return
    hint = "write tls: {mode: Auto} too"
    if _get(data, *security, "nodeAuth") is True:
        yield Finding((*security, "nodeAuth"), "a SuperNode proves who it is over TLS only", hint)
    if _get(data, *security, "controlApi") == "Closed" and _get(data, "spec", "layout") != "Quickstart":
        yield Finding((*security, "controlApi"), "holders of a certificate are told from others over TLS only", hint)
    if _length(_get(data, *security, "tls", "externalNames")):
        yield Finding((*security, "tls", "externalNames"), "there is no certificate for them without TLS", hint)


def _tls(data: object, path: Path, mode: str, *, quickstart: bool) -> Iterator[Finding]:
    """Check that each mode has what it needs, and no field of another one."""
    if quickstart and mode in _TLS_NEEDS:
        yield Finding((*path, "mode"), f"{mode} is for layout: Colocated", "leave it out, or choose that layout")
    needed, hint = _TLS_NEEDS.get(mode, ("", ""))
    if needed and _get(data, *path, needed) is None:
        yield Finding((*path, "mode"), f"{mode} needs {needed} beside it", hint)
    for field, modes in _TLS_FIELDS.items():
        if mode not in modes and _get(data, *path, field) is not None:
            yield Finding((*path, field), f"is for mode: {' or '.join(modes)}", "leave it out, or choose that mode")
    lasting, before = (_seconds(_get(data, *path, field)) for field in ("duration", "renewBefore"))
    if lasting is not None and lasting < _SHORTEST_CERTIFICATE:
        yield Finding((*path, "duration"), "cert-manager issues no certificate for less than 1h")
    if before is not None and before < _SHORTEST_RENEWAL:
        yield Finding((*path, "renewBefore"), "cert-manager renews no certificate less than 5m before its end")
    if before is not None and before >= (lasting or _DEFAULT_CERTIFICATE):
        yield Finding((*path, "renewBefore"), "is not less than duration, so it would be renewed again and again")


def _seconds(text: object) -> int | None:
    return duration_seconds(text) if isinstance(text, str) else None


def _outside(data: object) -> Iterator[Finding]:
    """Check pools that run elsewhere, and where their SuperNodes reach the SuperLink."""
    pools, expose = _get(data, "spec", "supernodes"), _get(data, "spec", "superlink", "expose")
    external = [index for index in range(_length(pools)) if _get(pools, index, "external") is True]
    places: list[Path] = [("spec", "supernodes", index, "external") for index in external]
    if expose is not None:
        places.append(("spec", "superlink", "expose"))
    for path in places:
        if _get(data, "spec", "layout") == "Quickstart":
            yield Finding(path, "is for layout: Colocated", "leave it out, or choose that layout")
        elif _tls_mode(data) == "Disabled":
            yield Finding(path, "whoever comes from outside comes over TLS", "write security: {tls: {mode: Auto}}")
        elif _get(data, "spec", "security", "nodeAuth") is False:
            yield Finding(path, "without nodeAuth anybody could join from outside", "leave nodeAuth out")
    for index in external:
        pool: Path = ("spec", "supernodes", index)
        if expose is None:
            yield Finding(
                (*pool, "external"),
                "nothing says where its SuperNodes reach the SuperLink",
                "for example superlink: {expose: {fleetAddress: fl.example.org:9092}}",
            )
        for field in _HERE_ONLY:
            value = _get(data, *pool, field)
            if _says_something(value) or (field == "gpus" and value is not None):  # gpus: {} is one
                yield Finding((*pool, field), "is of no use in an external pool, whose SuperNodes others start")
    reencrypt = _get(expose, "ingress", "tls") == "Reencrypt"
    if reencrypt and isinstance(_get(data, "metadata"), Mapping) and _get(data, "metadata", "namespace") is None:
        yield Finding(
            ("spec", "superlink", "expose", "ingress", "tls"),
            "an Ingress names the Secret by which it knows the SuperLink with its namespace",
            "write metadata: {namespace: …} too",
        )


def _says_something(value: object) -> bool:
    """Tell whether a field has a value, and not only empty ones."""
    if isinstance(value, Mapping):
        return any(map(_says_something, value.values()))
    return value not in (None, (), [])


def _images(data: object) -> Iterator[Finding]:
    for kind in ("repositories", "digests"):
        path: Path = ("spec", "images", kind, "superlink")
        if _get(data, "spec", "superlink", "image") is not None and _get(data, *path) is not None:
            yield Finding(path, "is of no use beside spec.superlink.image", "keep one of the two")


def _quickstart_spreading(data: object) -> Iterator[Finding]:
    """With ``layout: Quickstart`` nothing tells a pool's Pods from others, so the file has to."""
    pools = _get(data, "spec", "supernodes")
    for index in range(_length(pools)):
        constraints = _get(pools, index, "topologySpreadConstraints")
        for number in range(_length(constraints)):
            if _get(constraints, number, "labelSelector") is None:
                yield Finding(
                    ("spec", "supernodes", index, "topologySpreadConstraints", number),
                    "needs a labelSelector with layout: Quickstart, whose Pods have no label of their pool",
                )


def _quickstart_lacks(data: object) -> Iterator[Finding]:
    """Yield what ``layout: Quickstart`` cannot have: its Pods have no labels that tell them from others for good."""
    pools = range(_length(_get(data, "spec", "supernodes")))
    for path in (
        *_COLOCATED_ONLY,
        *(("spec", "supernodes", index, name) for index in pools for name in _COLOCATED_POOLS),
    ):
        if _get(data, *path) not in (None, (), [], "Disabled", "Open"):
            yield Finding(path, "is for layout: Colocated", "leave it out, or choose that layout")


def _volumes(data: object, path: Path) -> Iterator[Finding]:
    volumes = _get(data, *path, "volumes")
    for key, what in (("name", "name"), ("mountPath", "place")):
        first: dict[str, int] = {}
        for index in range(_length(volumes)):
            value = _get(volumes, index, key)
            if isinstance(value, str) and first.setdefault(value.rstrip("/"), index) != index:
                yield Finding(
                    (*path, "volumes", index, key),
                    f'"{value}" is already the {what} of {dotted(path)}.volumes[{first[value.rstrip("/")]}]',
                )


def _amount(quantity: object) -> Decimal | None:
    try:
        return amount(str(quantity))
    except ValueError:
        return None


def _length(items: object) -> int:
    return len(items) if isinstance(items, Sequence) and not isinstance(items, str) else 0


def _get(data: object, *steps: str | int) -> object:
    for step in steps:
        if isinstance(step, int):
            data = data[step] if isinstance(data, Sequence) and step < _length(data) else None
        else:
            data = data.get(step) if isinstance(data, Mapping) else None
    return data
