"""The small values of a federation file: what each may look like, and what to say when it does not.

Each type is a string or number that pydantic passes through one of the checks below. A check raises
`fault`, whose words reach the user unchanged; the JSON Schema beside it tells editors the same rule.
"""

from __future__ import annotations

import math
import re
from ipaddress import ip_address
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from flowerbed.spec.words import found

NAME_LENGTH = 40
"""The longest name of a federation or a pool, in characters."""

MOST_REPLICAS = 10_000
"""SuperNodes of one pool; their ordinals have at most four digits."""

LOWEST_PORT = 1024
"""Below it only root may listen."""

CONFIG_KEY = r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*"

_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OBJECT_LABEL_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_OBJECT_LABEL_PREFIX = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
LABEL_VALUE_PATTERN = f"^({_OBJECT_LABEL_NAME.pattern})?$"
LABEL_KEY_PATTERN = f"^({_OBJECT_LABEL_PREFIX.pattern}/)?{_OBJECT_LABEL_NAME.pattern}$"

_HOST_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*")
_PACKAGE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
# Debian policy 5.6.7 and 5.6.12; no hyphen at a name's end, by which apt-get understands that it shall be removed.
APT_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]*[a-z0-9+.](=([0-9]+:)?[0-9][A-Za-z0-9.+~-]*)?")
_RELEASE = re.compile(r"[0-9]{1,4}\.[0-9]{1,4}(\.[0-9]{1,4})?")
_PYTHON = re.compile(r"3\.[0-9]{1,2}")
_DURATION = re.compile(r"(?=[0-9])(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,6})s)?")
_OWN_LABELS = frozenset({"app.kubernetes.io", "flowerbed.dev"})
_FILLED_IN = frozenset({"partition-id", "num-partitions"})


def fault(message: str, hint: str | None = None) -> PydanticCustomError:
    """Return an error whose words reach the user as they are."""
    return PydanticCustomError("flowerbed", "{message}", {"message": message, "hint": hint or ""})


def slug(text: str, length: int = NAME_LENGTH) -> str:
    """Return the nearest DNS label to a text, or an empty string if nothing of it is left."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).lstrip("-0123456789")[:length].rstrip("-")


def duration_seconds(text: str) -> int | None:
    """Return the seconds in ``90s``, ``30m`` or ``1h30m``; None if the text is no duration."""
    match = _DURATION.fullmatch(text)
    if match is None:
        return None
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds


def _label(text: str, longest: int) -> str:
    nearest = slug(text, longest)
    hint = f'for example "{nearest}"' if nearest else None
    if not text:
        raise fault("is empty")
    if len(text) > longest:
        raise fault(f"is {len(text)} characters long; at most {longest} fit into the names that are made from it", hint)
    if not _LABEL.fullmatch(text):
        raise fault(
            f"{found(text)} is not a DNS label: small letters, digits and hyphens, "
            "a letter first, a letter or a digit last",
            hint,
        )
    return text


def _name(text: str) -> str:
    return _label(text, NAME_LENGTH)


def _namespace(text: str) -> str:
    return _label(text, 63)


def _pool_name(text: str) -> str:
    if text == "superlink" or text.startswith("superexec"):
        raise fault(f'"{text}" is the name of a component of every federation', "choose another name for the pool")
    return _label(text, NAME_LENGTH)


def _replicas(number: int) -> int:
    if number < 1:
        raise fault(f"{number} is too few: a pool has at least 1 SuperNode", "leave the pool out to have none of it")
    if number > MOST_REPLICAS:
        raise fault(f"{number} is too many: a pool has at most {MOST_REPLICAS} SuperNodes")
    return number


def _port(number: int) -> int:
    if not LOWEST_PORT <= number <= 65535:
        raise fault(f"{number} is not a port from 1024 to 65535")
    return number


def _release(text: str) -> str:
    if not _RELEASE.fullmatch(text):
        raise fault(f"{found(text)} is not a Flower release", 'for example "1.42" (its newest patch) or "1.42.0"')
    return text


def _python(text: str) -> str:
    if not _PYTHON.fullmatch(text):
        raise fault(f"{found(text)} is not a minor release of Python 3", 'for example "3.11"')
    return text


def _duration(text: str) -> str:
    seconds = duration_seconds(text)
    if seconds is None:
        raise fault(f"{found(text)} is not a duration", 'for example "90s", "30m" or "1h30m"')
    if seconds == 0:
        raise fault("is no time at all", "leave timeout out to wait for as long as the run takes")
    return text


def _no_bare_number(value: object) -> object:
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise fault(f"{value} has no unit", f"for example {value}s or {value}m")
    return value


def _config_key(text: str) -> str:
    if not re.fullmatch(CONFIG_KEY, text):
        raise fault(
            f"{found(text)} cannot be a key of Flower's config",
            "letters, digits, hyphens and underscores, with dots between the parts",
        )
    return text


def _node_config_key(text: str) -> str:
    if text in _FILLED_IN:
        raise fault("is filled in for each SuperNode", "remove it")
    return _config_key(text)


def _config_value(value: object) -> object:
    if isinstance(value, dict):
        raise fault("wanted text, a number, or true or false, found a mapping", 'write nested keys with dots: "a.b: 1"')
    if not isinstance(value, str | int | float):
        raise fault(f"wanted text, a number, or true or false, found {found(value)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise fault(f"{value} is not a finite number")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise fault("does not fit into Flower's 64 bits")
    if isinstance(value, str):
        _no_null_character(value)
    return value


def _no_null_character(text: str) -> str:
    if "\0" in text:
        raise fault("holds a null character, which no program's argument or environment can carry")
    return text


def _environment_name(text: str) -> str:
    if not _ENVIRONMENT_NAME.fullmatch(text):
        raise fault(
            f"{found(text)} cannot be the name of an environment variable",
            "letters, digits and underscores, no digit first",
        )
    if text == "FLWR_HOME" or text.startswith("FLOWERBED_"):
        raise fault("is set by Flowerbed", "remove it")
    return text


def is_host(text: str) -> bool:
    """Tell whether a text is a host name or an IP address."""
    try:
        ip_address(text)
    except ValueError:
        return len(text) <= 253 and _HOST_NAME.fullmatch(text) is not None and not text.rpartition(".")[2].isdigit()
    return True


def _host(text: str) -> str:
    if not is_host(text):
        raise fault(f"{found(text)} is neither a host name nor an IP address", 'for example "fl.example.org"')
    return text


def label_key(text: str) -> str:
    """Return a label's key, or raise what is wrong with it."""
    prefix, slash, name = text.rpartition("/")
    if (slash and not _OBJECT_LABEL_PREFIX.fullmatch(prefix)) or not _OBJECT_LABEL_NAME.fullmatch(name):
        raise fault(f"{found(text)} is not a label's key", "as Kubernetes has them, for example example.org/team")
    return text


def _object_label(text: str) -> str:
    if label_key(text).rpartition("/")[0] in _OWN_LABELS:
        raise fault("is set by Flowerbed", "remove it, or use a prefix of your own: example.org/team")
    return text


def label_value(text: str) -> str:
    """Return a label's value, or raise what is wrong with it."""
    if text and not _OBJECT_LABEL_NAME.fullmatch(text):
        raise fault(
            f"{found(text)} is not a label's value",
            "at most 63 letters, digits, hyphens, underscores and dots, a letter or digit first and last",
        )
    return text


def _package_name(text: str) -> str:
    if not _PACKAGE.fullmatch(text):
        raise fault(f"{found(text)} is not a Python package's name", 'for example "torch"')
    return text


def _apt_package(text: str) -> str:
    if not APT_PACKAGE.fullmatch(text):
        raise fault(f"{found(text)} is not a Debian package's name", 'for example "libgomp1", or "libgomp1=12.2.0-14"')
    return text


def _text_schema(pattern: re.Pattern[str], **more: object) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": f"^({pattern.pattern})$", **more})


Name: TypeAlias = Annotated[str, AfterValidator(_name), _text_schema(_LABEL, maxLength=NAME_LENGTH)]
Namespace: TypeAlias = Annotated[str, AfterValidator(_namespace), _text_schema(_LABEL, maxLength=63)]
PoolName: TypeAlias = Annotated[
    str,
    AfterValidator(_pool_name),
    _text_schema(_LABEL, maxLength=NAME_LENGTH, **{"not": {"pattern": "^(superlink$|superexec)"}}),
]
Replicas: TypeAlias = Annotated[
    int, AfterValidator(_replicas), WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MOST_REPLICAS})
]
PortNumber: TypeAlias = Annotated[
    int, AfterValidator(_port), WithJsonSchema({"type": "integer", "minimum": LOWEST_PORT, "maximum": 65535})
]
PackageName: TypeAlias = Annotated[str, AfterValidator(_package_name), _text_schema(_PACKAGE)]
AptPackage: TypeAlias = Annotated[str, AfterValidator(_apt_package), _text_schema(APT_PACKAGE)]
FlowerRelease: TypeAlias = Annotated[str, AfterValidator(_release), _text_schema(_RELEASE)]
PythonMinor: TypeAlias = Annotated[str, AfterValidator(_python), _text_schema(_PYTHON)]
Duration: TypeAlias = Annotated[
    str,
    BeforeValidator(_no_bare_number),
    AfterValidator(_duration),
    _text_schema(re.compile(r"(?=.*[1-9])([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?")),
]

HostName: TypeAlias = Annotated[str, AfterValidator(_host)]

ConfigKey: TypeAlias = Annotated[str, AfterValidator(_config_key)]
NodeConfigKey: TypeAlias = Annotated[str, AfterValidator(_node_config_key)]
ConfigValue: TypeAlias = Annotated[str | int | float | bool, BeforeValidator(_config_value)]

_CONFIG_SCHEMA = {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}

RunConfig: TypeAlias = Annotated[
    dict[ConfigKey, ConfigValue],
    WithJsonSchema(_CONFIG_SCHEMA | {"propertyNames": {"pattern": f"^{CONFIG_KEY}$"}}),
]
NodeConfig: TypeAlias = Annotated[
    dict[NodeConfigKey, ConfigValue],
    WithJsonSchema(
        _CONFIG_SCHEMA | {"propertyNames": {"pattern": f"^{CONFIG_KEY}$", "not": {"enum": sorted(_FILLED_IN)}}}
    ),
]
Environment: TypeAlias = Annotated[
    dict[Annotated[str, AfterValidator(_environment_name)], Annotated[str, AfterValidator(_no_null_character)]],
    WithJsonSchema(
        {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "propertyNames": {
                "pattern": f"^{_ENVIRONMENT_NAME.pattern}$",
                "not": {"pattern": "^(FLWR_HOME$|FLOWERBED_)"},
            },
        }
    ),
]
ObjectLabels: TypeAlias = Annotated[
    dict[Annotated[str, AfterValidator(_object_label)], Annotated[str, AfterValidator(label_value)]],
    WithJsonSchema({"type": "object", "additionalProperties": {"type": "string", "maxLength": 63}}),
]
