"""What a change starts, stops or restarts, and when a run forbids it: the same on every runtime. Pure.

A SuperExec that is restarted takes its ServerApp with it, and Flower resumes none. A SuperLink that is restarted with
other settings may not go on with the run. SuperNodes may come and go under a run: a round may then be short.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from flowerbed.errors import UsageError
from flowerbed_inside.variables import EXECUTION

_NAMED = 4
"""So many units are named at most, before the rest is counted."""


class Act(StrEnum):
    """What happens to a unit."""

    RESTART = "restart"
    START = "start"
    STOP = "stop"


@dataclass(frozen=True)
class Change:
    """What happens to one unit.

    Parameters
    ----------
    unit : str
        Its name.
    act : Act
        What happens.
    reason : str
        Why, as a noun phrase (``another environment``).
    ends_runs : bool
        Whether a run may be lost with it.
    """

    unit: str
    act: Act
    reason: str
    ends_runs: bool = False

    @property
    def past(self) -> str:
        """What was done to the unit, for the reason of a run that went on meanwhile."""
        done = {Act.RESTART: "restarted", Act.START: "started", Act.STOP: "stopped"}[self.act]
        return f"{done} {self.unit} ({self.reason})"


def refusal(changes: Sequence[Change], run: int | None, *, on: str = "") -> UsageError | None:
    """Return the error that spares a run; None if the changes may be made.

    Parameters
    ----------
    changes : sequence of Change
        What would happen.
    run : int or None
        The number of a run that is not finished.
    on : str
        The options of commands that say where the federation is.
    """
    lost = [change for change in changes if change.ends_runs]
    if run is None or not lost:
        return None
    reasons = "; ".join(
        f"{named([change.unit for change in lost if (change.act, change.reason) == kind])} would {kind[0]}: {kind[1]}"
        for kind in dict.fromkeys((change.act, change.reason) for change in lost)
    )
    stop = " ".join(filter(None, ["flowerbed stop", str(run), on]))
    return UsageError(
        f"run {run} is not finished, and {reasons}",
        hint=f"Nothing was restarted. Wait for the run, or stop it with `{stop}`; then run this command again.",
    )


def sentences(changes: Sequence[Change]) -> list[str]:
    """Return what happens, a sentence for each reason."""
    return [
        f"{named(units)} {f'{act}s' if len(units) == 1 else act.value}: {reason}"
        for (act, reason), units in _by_reason(changes).items()
    ]


def reasons(changes: Sequence[Change]) -> list[str]:
    """Return which units differ, a clause for each reason."""
    return [f"{named(units)}: {reason}" for (_, reason), units in _by_reason(changes).items()]


def _by_reason(changes: Sequence[Change]) -> dict[tuple[Act, str], list[str]]:
    found: dict[tuple[Act, str], list[str]] = {}
    for change in changes:
        found.setdefault((change.act, change.reason), []).append(change.unit)
    return found


def some(one: str, several: str, names: Sequence[str]) -> str:
    """Return as part of a reason that some things are other ones; empty if none is."""
    if not names:
        return ""
    return f"another {one}: {names[0]}" if len(names) == 1 else f"other {several}: {', '.join(sorted(names))}"


def variables(names: Iterable[str]) -> list[str]:
    """Return as parts of a reason that some environment variables are other ones; one of ours by its field."""
    others = [name for name in names if name != EXECUTION]
    found = ["another execution"] if EXECUTION in names else []
    return [*found, some("environment variable", "environment variables", others)]


def options(words: Iterable[str]) -> dict[str, str]:
    """Return the words of a command line by the option that they belong to; those before the first by an empty name."""
    found: dict[str, str] = {}
    option = ""
    for word in words:
        if word.startswith("--"):
            option = word.partition("=")[0]
        found[option] = f"{found.get(option, '')} {word}"
    return found


def named(units: Sequence[str]) -> str:
    """Return names as a person lists them."""
    shown = list(units[:_NAMED]) if len(units) > _NAMED + 1 else list(units)
    if len(shown) < len(units):
        shown.append(f"{len(units) - len(shown)} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
