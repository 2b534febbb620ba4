"""How a run ends whose supervisor is gone: when, why, and what becomes of the round that was going on. Pure."""

from __future__ import annotations

from dataclasses import replace

from flowerbed.runs.records import Phase, Round, RunRecord, Verdict

LOST_WITH_SUPERVISOR = "the ServerApp was lost: the supervisor that held it was killed"
"""Why a run failed that was going on when its supervisor died."""
NEVER_TAKEN = "the SuperLink never took it"


def lost(record: RunRecord, *seen_at: float | None) -> RunRecord:
    """Return the record of a run that is lost. Its end is when it was last seen, not when somebody looks.

    Parameters
    ----------
    record : RunRecord
        What was last known of it.
    seen_at : float or None
        More times at which something of it was seen (Unix seconds).
    """
    rounds = [at for one in record.rounds for at in (one.started_at, one.finished_at)]
    known = [at for at in (record.submitted_at, *rounds, *seen_at) if at is not None]
    ended_at = max(known, default=None)
    return replace(
        record,
        phase=Phase.FINISHED,
        verdict=Verdict.FAILED,
        reason=NEVER_TAKEN if record.flower_id is None else LOST_WITH_SUPERVISOR,
        rounds=cut_off(record.rounds, ended_at),
        waits_for="",
        finished_at=ended_at,
    )


def cut_off(rounds: tuple[Round, ...], at: float | None) -> tuple[Round, ...]:
    """Return rounds where the one that was still going on is ended by the end of its run."""
    return tuple(one if one.finished_at is not None else replace(one, finished_at=at, cut_off=True) for one in rounds)
