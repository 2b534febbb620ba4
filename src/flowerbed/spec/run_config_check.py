"""A run's config, put together from the federation file and the command line, and compared with the app's own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from flowerbed.errors import SpecError, UsageError
from flowerbed.spec.finding import Finding
from flowerbed.spec.problems import problem_at
from flowerbed.spec.run_config import (
    ConfigFault,
    ConfigValue,
    Given,
    as_sentence,
    config_faults,
    parse_config_arguments,
)

if TYPE_CHECKING:
    from flowerbed.spec.app import AppManifest
    from flowerbed.spec.load import Loaded

_PATH = ("spec", "run", "config")


def run_config(
    loaded: Loaded | None, manifest: AppManifest | None, arguments: Iterable[str] = ()
) -> dict[str, ConfigValue]:
    """Return the run config of runs: the file's, and the command line's over it.

    Parameters
    ----------
    loaded : Loaded or None
        The federation file, if there is one.
    manifest : AppManifest or None
        What the app says; None if it is not known, and nothing can be compared.
    arguments : iterable of str
        What was given with ``--run-config``.

    Raises
    ------
    SpecError
        For what is wrong in the file, at its line and column.
    UsageError
        For what is wrong on the command line, with the option.
    """
    file = loaded.federation.spec.run.config if loaded is not None else {}
    given = parse_config_arguments(arguments, manifest.config if manifest is not None else None)
    values = {key: one.value for key, one in given.items()}
    if manifest is not None:
        if loaded is not None and (faults := list(config_faults(manifest.config, file))):
            raise SpecError(
                [
                    problem_at(
                        loaded.document,
                        Finding((*_PATH, fault.key), fault.message, fault.hint or None),
                        at_key=fault.unknown,
                    )
                    for fault in faults
                ]
            )
        if faults := list(config_faults(manifest.config, values)):
            raise _refusal(faults, given)
    return {**file, **values}


def _refusal(faults: list[ConfigFault], given: dict[str, Given]) -> UsageError:
    first, *others = faults
    hints = {fault.key: (given[fault.key].typed and fault.typed) or fault.hint for fault in faults}
    if not others:
        where, hint = given[first.key].where, as_sentence(hints[first.key])
        return UsageError(f"{first.key}: {first.message}", where=where, hint=hint)
    lines = (
        f"{given[fault.key].where}: {fault.key}: {fault.message}" + (f" ({hint})" if (hint := hints[fault.key]) else "")
        for fault in faults
    )
    return UsageError("\n".join(lines))
