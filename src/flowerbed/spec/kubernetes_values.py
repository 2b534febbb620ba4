"""The small values of a federation file that are Kubernetes' own: names of objects, images, quantities, paths."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from flowerbed.spec.quantity import QUANTITY
from flowerbed.spec.values import LABEL_KEY_PATTERN, LABEL_VALUE_PATTERN, fault, label_key, label_value
from flowerbed.spec.words import found

SHORTEST_GRACE = 30
"""In how many seconds a Pod's programs can end, and Kubernetes' own default; our init takes at most 20 of them."""

OWN_VOLUMES = "flowerbed-"
"""How the names of the volumes start that every Pod of ours has."""

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_DATA_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_RESOURCE = re.compile(r"(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_HOST = r"(?:[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?)*(?::[0-9]{1,5})?)"
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
IMAGE = re.compile(
    rf"(?:{_HOST}/)?{_COMPONENT}(?:/{_COMPONENT})*(?::[A-Za-z0-9_][-A-Za-z0-9_.]{{0,127}})?(?:@sha256:[0-9a-f]{{64}})?"
)
"""An image's name with a tag, a digest, both or neither (github.com/distribution/reference)."""

_REGISTRY = re.compile(rf"{_HOST}(?:/{_COMPONENT})*")
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

DIGEST_PATTERN = DIGEST.pattern
LABEL_PATTERN, SUBDOMAIN_PATTERN, IMAGE_PATTERN = _LABEL.pattern, _SUBDOMAIN.pattern, IMAGE.pattern

_RESERVED_PATHS = {
    "/": "is the whole file system",
    "/tmp": "is every Pod's own scratch folder",  # noqa: S108 - a path in a Pod
    "/flowerbed": "is where Flowerbed's programs are",
    "/results": "is where results go",
    "/python": "is where the image has Flower",
    "/python/venv": "is where the image has Flower",
}


def _object_name(text: str) -> str:
    if len(text) > 253 or not _SUBDOMAIN.fullmatch(text):
        raise fault(
            f"{found(text)} is not an object's name: small letters, digits, hyphens and dots, "
            "a letter or digit first and last"
        )
    return text


def _data_key(text: str) -> str:
    if len(text) > 253 or not _DATA_KEY.fullmatch(text):
        raise fault(f"{found(text)} is not a key of a Secret or ConfigMap: letters, digits, hyphens, underscores, dots")
    return text


def _volume_name(text: str) -> str:
    if not _LABEL.fullmatch(text):
        raise fault(f"{found(text)} is not a DNS label: at most 63 small letters, digits and hyphens")
    if text.startswith(OWN_VOLUMES):
        raise fault(f'names that start with "{OWN_VOLUMES}" are Flowerbed\'s own', "choose another name")
    return text


def _image(text: str) -> str:
    if not text:
        raise fault("is empty")
    if not IMAGE.fullmatch(text):
        raise fault(
            f"{found(text)} is not an image's name",
            'for example "ghcr.io/example/app:1.0" or "ghcr.io/example/app@sha256:…"',
        )
    return text


def _registry(text: str) -> str:
    host = text.partition("/")[0]
    if not _REGISTRY.fullmatch(text):
        raise fault(f"{found(text)} is not a registry", 'for example "registry.example.org/mirror"')
    if "." not in host and ":" not in host and host != "localhost":
        raise fault(f"{found(text)}: {host} would be taken for a repository", "a registry's host has a dot or a port")
    return text


def _repository(text: str) -> str:
    if not _REPOSITORY.fullmatch(text):
        raise fault(
            f"{found(text)} is not a repository", 'for example "flwr/superlink", without registry, tag and digest'
        )
    return text


def _digest(text: str) -> str:
    if not DIGEST.fullmatch(text):
        raise fault(f"{found(text)} is not a digest", "sha256: and 64 digits or letters from a to f")
    return text


def _number_as_text(value: object) -> object:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return value


def _quantity(text: str) -> str:
    if not QUANTITY.fullmatch(text):
        raise fault(f"{found(text)} is not a quantity", 'for example "250m", "1.5", "512Mi" or "10Gi"')
    return text


def _resource_name(text: str) -> str:
    if not _RESOURCE.fullmatch(text):
        raise fault(f"{found(text)} is not a resource", 'for example "cpu", "memory" or "nvidia.com/gpu"')
    return text


def _mount_path(text: str) -> str:
    if not text.startswith("/"):
        raise fault(f"{found(text)} is not an absolute path", f'for example "/{text.lstrip("./")}"')
    if ":" in text or "\0" in text or ".." in text.split("/"):
        raise fault(f'{found(text)} cannot be mounted at: no colons, and no ".."')
    place = "/" + "/".join(part for part in text.split("/") if part)
    if place in _RESERVED_PATHS or place.startswith("/flowerbed/"):
        what = _RESERVED_PATHS.get(place, _RESERVED_PATHS["/flowerbed"])
        raise fault(f"{place} {what}", 'mount somewhere else, for example at "/data"')
    return text


def _host_path(text: str) -> str:
    if not text.startswith("/") or ".." in text.split("/") or "\0" in text:
        raise fault(f"{found(text)} is not an absolute path of a node", 'for example "/srv/data"')
    return text


def _count(number: int) -> int:
    if number < 1:
        raise fault(f"{number} is too few: at least 1")
    return number


def _grace(seconds: int) -> int:
    if seconds < SHORTEST_GRACE:
        raise fault(f"{seconds} is too short: at least {SHORTEST_GRACE}, in which programs end")
    return seconds


def _gpu_count(number: int) -> int:
    if number < 1:
        raise fault(f"{number} is too few: at least 1", "leave gpus out to have none")
    return number


def _network_port(number: int) -> int:
    if not 1 <= number <= 65535:
        raise fault(f"{number} is not a port from 1 to 65535")
    return number


def _cidr(text: str) -> str:
    try:
        ip_network(text)
    except ValueError:
        raise fault(f"{found(text)} is not a network", _cidr_hint(text)) from None
    if "/" not in text:
        raise fault(f"{found(text)} is an address, not a network", f'for the one address: "{ip_network(text)}"')
    return text


def _cidr_hint(text: str) -> str:
    try:
        return f'its host bits are set; for the network: "{ip_network(text, strict=False)}"'
    except ValueError:
        return 'for example "192.0.2.0/24", or "0.0.0.0/0" for everything'


def _weight(number: int) -> int:
    if not 1 <= number <= 100:
        raise fault(f"{number} is not a weight from 1 to 100")
    return number


def _schema(pattern: re.Pattern[str], **more: object) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": f"^({pattern.pattern})$", **more})


ObjectName: TypeAlias = Annotated[str, AfterValidator(_object_name), _schema(_SUBDOMAIN, maxLength=253)]
DataKey: TypeAlias = Annotated[str, AfterValidator(_data_key), _schema(_DATA_KEY, maxLength=253)]
VolumeName: TypeAlias = Annotated[
    str,
    AfterValidator(_volume_name),
    _schema(_LABEL, maxLength=63, **{"not": {"pattern": f"^{OWN_VOLUMES}"}}),
]
ImageReference: TypeAlias = Annotated[str, AfterValidator(_image), _schema(IMAGE)]
Registry: TypeAlias = Annotated[str, AfterValidator(_registry), _schema(_REGISTRY)]
Repository: TypeAlias = Annotated[str, AfterValidator(_repository), _schema(_REPOSITORY)]
Digest: TypeAlias = Annotated[str, AfterValidator(_digest), _schema(DIGEST)]
Quantity: TypeAlias = Annotated[
    str,
    BeforeValidator(_number_as_text),
    AfterValidator(_quantity),
    WithJsonSchema({"type": ["string", "number"], "pattern": f"^({QUANTITY.pattern})$", "minimum": 0}),
]
ResourceList: TypeAlias = Annotated[
    dict[Annotated[str, AfterValidator(_resource_name)], Quantity],
    WithJsonSchema(
        {
            "type": "object",
            "additionalProperties": {
                "type": ["string", "number"],
                "pattern": f"^({QUANTITY.pattern})$",
                "minimum": 0,
            },
            "propertyNames": {"pattern": f"^({_RESOURCE.pattern})$"},
        }
    ),
]
MountPath: TypeAlias = Annotated[
    str,
    AfterValidator(_mount_path),
    WithJsonSchema({"type": "string", "pattern": "^/[^:]*$", "not": {"enum": sorted(_RESERVED_PATHS)}}),
]
HostFolder: TypeAlias = Annotated[str, AfterValidator(_host_path), WithJsonSchema({"type": "string", "pattern": "^/"})]

ResourceName: TypeAlias = Annotated[str, AfterValidator(_resource_name), _schema(_RESOURCE)]
LabelKey: TypeAlias = Annotated[
    str, AfterValidator(label_key), WithJsonSchema({"type": "string", "pattern": LABEL_KEY_PATTERN})
]
LabelValue: TypeAlias = Annotated[
    str, AfterValidator(label_value), WithJsonSchema({"type": "string", "pattern": LABEL_VALUE_PATTERN})
]
NodeLabels: TypeAlias = Annotated[
    dict[LabelKey, LabelValue],
    WithJsonSchema(
        {
            "type": "object",
            "additionalProperties": {"type": "string", "pattern": LABEL_VALUE_PATTERN},
            "propertyNames": {"pattern": LABEL_KEY_PATTERN},
        }
    ),
]
PositiveCount: TypeAlias = Annotated[int, AfterValidator(_count), WithJsonSchema({"type": "integer", "minimum": 1})]
GraceSeconds: TypeAlias = Annotated[
    int, AfterValidator(_grace), WithJsonSchema({"type": "integer", "minimum": SHORTEST_GRACE})
]
GpuCount: TypeAlias = Annotated[int, AfterValidator(_gpu_count), WithJsonSchema({"type": "integer", "minimum": 1})]
Weight: TypeAlias = Annotated[
    int, AfterValidator(_weight), WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 100})
]
NetworkPort: TypeAlias = Annotated[
    int, AfterValidator(_network_port), WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 65535})
]
Cidr: TypeAlias = Annotated[
    str, AfterValidator(_cidr), WithJsonSchema({"type": "string", "pattern": "^[0-9A-Fa-f.:]+/[0-9]{1,3}$"})
]
