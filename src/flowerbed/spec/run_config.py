"""Run configs: flattened as Flower does, parsed from arguments as ``flwr run --run-config`` does."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

from flowerbed.errors import UsageError
from flowerbed.spec.toml import NotTomlError, read_toml
from flowerbed.spec.words import nearest

ConfigValue: TypeAlias = str | int | float | bool

# flwr.common.config.parse_config_args, unchanged from 1.22 to 1.42. flwr passes over what the pattern does not
# match; here that is an error.
_PAIR = re.compile(r"(\S+?)=('[^']*'|\"[^\"]*\"|\S+)")


class NotAConfigValueError(ValueError):
    """A value in a config is neither text, a number, nor true or false; becomes one of ours before it leaves."""

    def __init__(self, key: str) -> None:
        super().__init__(f"{key} is neither text, a number, nor true or false, nor a table of those")
        self.key = key


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
        elif isinstance(value, str | int | float):
            flat[f"{prefix}{key}"] = value
        else:
            raise NotAConfigValueError(f"{prefix}{key}")
    return flat


def parse_config_arguments(arguments: Iterable[str]) -> dict[str, ConfigValue]:
    """Parse what was given with ``--run-config``.

    Parameters
    ----------
    arguments : iterable of str
        Each ``key=value``, or several with spaces between them; values are TOML's: ``lr=0.1 name="x"``.
        Or a single path to a TOML file, which is read.

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
    config: dict[str, ConfigValue] = {}
    for argument in given:
        if _is_file(argument):
            raise UsageError(
                "a TOML file cannot be given along with other values",
                where=f"--run-config {argument}",
                hint="Give either.",
            )
        config |= _parse_pairs(argument)
    return config


def check_run_config(known: Mapping[str, object], given: Mapping[str, object]) -> None:
    """Check that an app has every key that is given.

    Parameters
    ----------
    known : mapping
        The app's own config, flattened.
    given : mapping
        What is to replace parts of it, flattened.

    Raises
    ------
    UsageError
        For all unknown keys, each with its nearest known one.
    """
    unknown = []
    for key in given:
        if key not in known:
            guess = nearest(key, known)
            unknown.append(f'"{key}" (did you mean "{guess}"?)' if guess else f'"{key}"')
    if unknown:
        raise UsageError(
            f"the app's config has no {', no '.join(unknown)}",
            where="run config",
            hint=f"It has {', '.join(sorted(known))}." if known else "[tool.flwr.app.config] of the app is empty.",
        )


def _is_file(argument: str) -> bool:
    return argument.endswith(".toml") and "=" not in argument


def _parse_pairs(argument: str) -> dict[str, ConfigValue]:
    where = f"--run-config {argument}"
    rest = _PAIR.sub("", argument).split()
    if rest:
        raise UsageError(f'"{rest[0]}" is not a key=value pair', where=where, hint="""For example 'lr=0.1 name="x"'.""")
    config: dict[str, ConfigValue] = {}
    for key, value in _PAIR.findall(argument):
        try:
            config |= flatten(read_toml(f"{key} = {value}"))
        except NotAConfigValueError as error:
            raise UsageError(str(error), where=where) from None
        except NotTomlError:
            if re.fullmatch(r"[A-Za-z0-9_.-]+", key):
                hint = f"""Text needs quotes that the shell leaves alone: '{key}="{value.strip("'" + '"')}"'."""
                raise UsageError(f"{key}: {value} is not a TOML value", where=where, hint=hint) from None
            raise UsageError(f'"{key}" is not a key', where=where) from None
    return config


def _read_file(name: str) -> dict[str, ConfigValue]:
    try:
        text = Path(name).expanduser().read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError("there is no such file", where=name) from None
    except UnicodeDecodeError:
        raise UsageError("is not UTF-8", where=name, hint="Save the file as UTF-8.") from None
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: a ~ that stands for nobody
        raise UsageError(f"cannot be read: {error}", where=name) from None
    try:
        return flatten(read_toml(text))
    except NotTomlError as error:
        raise UsageError(error.message, where=f"{name}:{error.line}:{error.column}") from None
    except NotAConfigValueError as error:
        raise UsageError(str(error), where=name) from None
