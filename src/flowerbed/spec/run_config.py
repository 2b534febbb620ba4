"""Run configs: flattened as Flower does, parsed from arguments as ``flwr run --run-config`` does."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from flowerbed.errors import UsageError
from flowerbed.spec.toml import NotTomlError, place_where, read_toml
from flowerbed.spec.words import found, nearest

ConfigValue: TypeAlias = str | int | float | bool

_LEAST = -(2**63)
_TYPES: dict[type, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
TOO_LARGE = "does not fit into Flower's 64 bits"
"""What is said of a whole number that a run config cannot hold."""

# flwr.common.config.parse_config_args, unchanged from 1.22 to 1.42. flwr passes over what the pattern does not
# match; here that is an error.
_PAIR = re.compile(r"(\S+?)=('[^']*'|\"[^\"]*\"|\S+)")


class NotAConfigValueError(ValueError):
    """Flower has no place for a value of a config; becomes one of ours before it leaves."""

    def __init__(self, key: str, why: str = "is neither text, a number, nor true or false, nor a table of those"):
        super().__init__(f"{key} {why}")
        self.key = key


@dataclass(frozen=True)
class Given:
    """A value that the command line gives.

    Parameters
    ----------
    value : str, int, float or bool
        What it is.
    where : str
        The option, or the place in a file, that says so.
    typed : bool
        Whether it stands on the command line itself.
    """

    value: ConfigValue
    where: str
    typed: bool = False


@dataclass(frozen=True)
class ConfigFault:
    """What is wrong with a value of a run config.

    Parameters
    ----------
    key : str
        Its key.
    message, hint : str
        What is wrong, and what to write; the hint may be empty.
    typed : str
        What to write on a command line, whose quotes a shell takes off; empty where the hint says it.
    unknown : bool
        Whether the app has no such key.
    """

    key: str
    message: str
    hint: str = ""
    typed: str = ""
    unknown: bool = False


def flatten(table: Mapping[str, object], prefix: str = "") -> dict[str, ConfigValue]:
    """Flatten nested tables into keys with dots, as Flower does.

    Raises
    ------
    NotAConfigValueError
        For a list, a date, or anything else that Flower has no place for.
    """
    flat: dict[str, ConfigValue] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        elif isinstance(value, int) and not _LEAST <= value < -_LEAST:
            raise NotAConfigValueError(f"{prefix}{key}", TOO_LARGE)
        elif isinstance(value, str | int | float):
            flat[f"{prefix}{key}"] = value
        else:
            raise NotAConfigValueError(f"{prefix}{key}")
    return flat


def parse_config_arguments(
    arguments: Iterable[str], known: Mapping[str, ConfigValue] | None = None
) -> dict[str, Given]:
    """Parse what was given with ``--run-config``.

    Parameters
    ----------
    arguments : iterable of str
        Each ``key=value``, or several with spaces between them; values are TOML's: ``lr=0.1 name="x"``.
        Or a single path to a TOML file, which is read.
    known : mapping or None
        The app's own config, flattened, for what is said of a value that is no TOML; None if it is not known.

    Returns
    -------
    dict
        Keys flattened with dots. A later value for a key goes before an earlier one.

    Raises
    ------
    UsageError
        If something is no such pair, or the file cannot be read.
    """
    given = [argument for argument in arguments if argument.strip()]
    if len(given) == 1 and _is_file(given[0]):
        return _read_file(given[0])
    config: dict[str, Given] = {}
    for argument in given:
        if _is_file(argument):
            raise UsageError(
                "a TOML file cannot be given along with other values",
                where=f"--run-config {argument}",
                hint="Give either.",
            )
        config |= _parse_pairs(argument, known)
    return config


def config_faults(known: Mapping[str, ConfigValue], given: Mapping[str, ConfigValue]) -> Iterator[ConfigFault]:
    """Yield what is wrong with a run config: keys that the app does not have, values of another type than the app's.

    Parameters
    ----------
    known : mapping
        The app's own config, flattened.
    given : mapping
        What is to replace parts of it, flattened.
    """
    for key, value in given.items():
        if key in known:
            if not _fits(value, known[key]):
                yield _wrong_type(key, value, known[key])
            continue
        guess = nearest(key, known)
        if guess:
            hint = f'did you mean "{guess}"?'
        else:
            hint = f"it has {', '.join(sorted(known))}" if known else "[tool.flwr.app.config] of the app is empty"
        yield ConfigFault(key, "the app's config has no such key", hint, unknown=True)


def _fits(value: ConfigValue, own: ConfigValue) -> bool:
    """Tell whether a value can take the place of the app's own: the same type, or a whole number for a fraction."""
    return type(value) is type(own) or (type(value) is int and type(own) is float)


def _wrong_type(key: str, value: ConfigValue, own: ConfigValue) -> ConfigFault:
    wanted, typed = _TYPES[type(own)], ""
    match own, value:
        case bool(), str() if value.lower() in ("true", "false"):
            hint = f"write {value.lower()}, without quotes"
        case int() | float(), str() if not isinstance(own, bool) and _is_number(value, type(own)):
            hint = "leave out the quotes"
        case int(), float() if not isinstance(own, bool):
            hint = f"if the app takes fractions, write {own}.0 in its [tool.flwr.app.config]"
        case str(), _:
            written = str(value).lower() if isinstance(value, bool) else value
            hint, typed = f'put it in quotes: "{written}"', _in_quotes(key, str(written))
        case _:
            hint = ""
    shown = found(own).removeprefix("the number ")
    given = f"the text {found(value)}" if isinstance(value, str) else found(value)
    return ConfigFault(key, f"wanted {wanted}, as the app's own {shown}; found {given}", hint, typed)


def _is_number(text: str, kind: type) -> bool:
    try:
        return math.isfinite(kind(text))
    except (ValueError, OverflowError):
        return False


def _is_file(argument: str) -> bool:
    return argument.endswith(".toml") and "=" not in argument


def _parse_pairs(argument: str, known: Mapping[str, ConfigValue] | None) -> dict[str, Given]:
    where = f"--run-config {argument}"
    rest = _PAIR.sub("", argument).split()
    if rest:
        raise UsageError(f'"{rest[0]}" is not a key=value pair', where=where, hint="""For example 'lr=0.1 name="x"'.""")
    config: dict[str, ConfigValue] = {}
    for key, value in _PAIR.findall(argument):
        try:
            config |= _given(read_toml(f"{key} = {value}"))
        except NotAConfigValueError as error:
            raise UsageError(str(error), where=where) from None
        except NotTomlError:
            if re.fullmatch(r"[A-Za-z0-9_.-]+", key):
                raise _not_toml(key, value, where, known) from None
            raise UsageError(f'"{key}" is not a key', where=where) from None
    return {key: Given(value, where, typed=True) for key, value in config.items()}


def _given(table: Mapping[str, object]) -> dict[str, ConfigValue]:
    """Flatten what a user gives: as in a federation file, a number is finite."""
    config = flatten(table)
    for key, value in config.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise NotAConfigValueError(key, "is not a finite number")
    return config


def _not_toml(key: str, value: str, where: str, known: Mapping[str, ConfigValue] | None) -> UsageError:
    """Return what is wrong with a value that is no TOML, by the type that the app has there."""
    own = known.get(key) if known is not None else None
    if value.lower() in ("true", "false") and isinstance(own, bool | None):
        hint = f"TOML writes it in small letters: {key}={value.lower()}"
    elif isinstance(own, int | float) and not isinstance(own, bool) and _is_number(value, type(own)):
        hint = f"TOML writes it {key}={type(own)(value)}"
    elif known is None or isinstance(own, str):
        hint = _in_quotes(key, value.strip("'" + '"'))
    else:
        fault = next(config_faults(known, {key: value}))
        return UsageError(f"{key}: {fault.message}", where=where, hint=as_sentence(fault.hint))
    return UsageError(f"{key}: {value} is not a TOML value", where=where, hint=hint)


def _in_quotes(key: str, value: str) -> str:
    return f"""Text needs quotes that the shell leaves alone: '{key}="{value}"'."""


def as_sentence(hint: str) -> str | None:
    """Return a hint that stands by itself; None for an empty one."""
    return f"{hint[0].upper()}{hint[1:]}" if hint else None


def _read_file(name: str) -> dict[str, Given]:
    try:
        text = Path(name).expanduser().read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError("there is no such file", where=name) from None
    except UnicodeDecodeError:
        raise UsageError("is not UTF-8", where=name, hint="Save the file as UTF-8.") from None
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: a ~ that stands for nobody
        raise UsageError(f"cannot be read: {error}", where=name) from None
    try:
        config = _given(read_toml(text))
    except NotTomlError as error:
        raise UsageError(error.message, where=f"{name}:{error.line}:{error.column}") from None
    except NotAConfigValueError as error:
        raise UsageError(str(error), where=_place(name, text, error.key)) from None
    return {key: Given(value, _place(name, text, key)) for key, value in config.items()}


def _place(name: str, text: str, key: str) -> str:
    """Return where a key of a TOML file stands."""
    line, column = place_where(text, lambda data: _holds(data, key))
    return f"{name}:{line}:{column}"


def _holds(data: Mapping[str, object], key: str) -> bool:
    """Tell whether nested tables have a key with dots, whatever its value."""
    return any(
        key == name
        or (isinstance(value, Mapping) and key.startswith(f"{name}.") and _holds(value, key[len(name) + 1 :]))
        for name, value in data.items()
    )
