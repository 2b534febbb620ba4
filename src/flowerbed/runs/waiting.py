"""What a run that is not finished waits for: told by the strategy, or to be concluded from its silence. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flowerbed.runs.events import LEGACY
from flowerbed.runs.progress import Progress
from flowerbed.runs.records import Exchange, Phase

QUIET_SECONDS = 5.0
"""So long a run is pending, or a strategy that says nothing samples nobody, before that is called waiting."""
_NAMED = 5
_STRATEGY = "`min_available_nodes`, `min_train_nodes` and `min_evaluate_nodes` of the app's strategy"
_LEGACY = "`min_available_clients`, `min_fit_clients` and `min_evaluate_clients` of the app's strategy"
_LOOP = "how many the app's own loop requires"


@dataclass(frozen=True)
class Seen:
    """What is seen of a federation while a run may wait.

    Parameters
    ----------
    nodes_online, nodes_expected : int
        SuperNodes of ours that the SuperLink knows as online, and how many the file has.
    external_online : int
        How many SuperNodes that run elsewhere are online.
    external_away : sequence of str
        Those of them that are not.
    serverapp : bool
        Whether the ServerApp's SuperExec is connected.
    away : sequence of str
        SuperNodes of ours that do not run, where that is known.
    """

    nodes_online: int
    nodes_expected: int
    external_online: int = 0
    external_away: Sequence[str] = ()
    serverapp: bool = True
    away: Sequence[str] = ()

    @property
    def all(self) -> int:
        """How many SuperNodes there can be."""
        return self.nodes_expected + self.external_online + len(self.external_away)

    @property
    def online(self) -> int:
        """How many are online."""
        return self.nodes_online + self.external_online


def waits_for(phase: Phase, progress: Progress, quiet: float, look: Callable[[], Seen]) -> str:
    """Return what a run waits for, in words that go on from "waits for"; empty if for nothing.

    Parameters
    ----------
    quiet : float
        Seconds since its phase or its progress changed.
    look : callable
        Looks at the federation, which may take a moment; not called where it does not matter.
    """
    if phase is Phase.PENDING:
        if quiet < QUIET_SECONDS or (seen := look()).serverapp:
            return ""
        return "the ServerApp's SuperExec, which is not connected"
    if phase is Phase.FINISHED:
        return ""
    if progress.waiting is not None:
        have, need = progress.waiting.connected, progress.waiting.required
        if need is not None:
            return f"SuperNodes: {have} connected, {need} required{_who_can_come(look(), need)}"
        return _of_unknown_number(look(), _LOOP) if quiet >= QUIET_SECONDS else f"SuperNodes: {look().online} online"
    if _samples_silently(progress):
        return _of_unknown_number(look(), _LEGACY) if quiet >= QUIET_SECONDS else ""
    if progress.strategies[-1:] == (LEGACY,) and not progress.rounds:  # it asks one of them for a model to begin with
        if quiet < QUIET_SECONDS or (seen := look()).online:
            return ""
        return _of_unknown_number(seen, _LEGACY)
    exchange = _awaited(progress)
    if exchange is None or (seen := look()).nodes_online >= seen.nodes_expected:
        return ""
    return f"replies to {exchange.kind}; {_count_online(seen)}"


def _who_can_come(seen: Seen, need: int) -> str:
    """Say which SuperNodes can still come, or what to change where none can."""
    if need > seen.all:
        has = "has only 1" if seen.all == 1 else f"has only {seen.all}"
        return f"; the federation {has}: {_change(_STRATEGY)}"
    if seen.nodes_online < seen.nodes_expected:
        return f"; {_count_online(seen)}"
    if seen.external_away:
        return f"; {_names(seen.external_away)} can still come from elsewhere"
    return ""


def _of_unknown_number(seen: Seen, parameters: str) -> str:
    """Say what a ServerApp waits for that does not say itself how many SuperNodes it requires."""
    if seen.nodes_online < seen.nodes_expected:
        return f"SuperNodes: {_count_online(seen)}"
    if seen.external_away:
        return f"SuperNodes: {seen.online} online; {_names(seen.external_away)} can still come from elsewhere"
    return f"more SuperNodes than the {seen.all} of the federation, which are all online: {_change(parameters)}"


def _change(parameters: str) -> str:
    return f"lower {parameters}, or raise `replicas` in the federation file"


def _samples_silently(progress: Progress) -> bool:
    """Tell whether a legacy strategy is in a round for which it has sampled nobody: it waits without a word."""
    current = progress.round
    return progress.strategies[-1:] == (LEGACY,) and current is not None and not current.exchanges


def _awaited(progress: Progress) -> Exchange | None:
    """Return the exchange whose replies are not there yet."""
    last = progress.round.exchanges[-1:] if progress.round is not None else ()
    return last[0] if last and last[0].results is None and last[0].sampled != 0 else None


def _count_online(seen: Seen) -> str:
    named = f" ({_names(seen.away)} {'is' if len(seen.away) == 1 else 'are'} away)" if seen.away else ""
    return f"{seen.nodes_online} of {seen.nodes_expected} SuperNodes online{named}"


def _names(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
