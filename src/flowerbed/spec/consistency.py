"""Rules between fields: names that clash, or that are too long together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from flowerbed.spec.finding import Finding, Path
from flowerbed.spec.values import NAME_LENGTH

INCONSISTENT = "flowerbed.inconsistent"
"""The type of pydantic's error for a broken rule; the file's reader looks for these by itself, to place each."""

# The longest name that is made from both is FEDERATION-POOL-9999-superexec, a DNS label of at most 63.
_LONGEST_PAIR = 63 - len("-") - len("-9999-superexec")


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
    ports = _get(data, "spec", "superlink", "ports")
    numbers: dict[int, str] = {}
    for port, number in ports.items() if isinstance(ports, Mapping) else ():
        if isinstance(number, int) and numbers.setdefault(number, port) != port:
            yield Finding(
                ("spec", "superlink", "ports", port), f"{number} is already the {numbers[number]} port's number"
            )


def _get(data: object, *keys: str) -> object:
    for key in keys:
        data = data.get(key) if isinstance(data, Mapping) else None
    return data
