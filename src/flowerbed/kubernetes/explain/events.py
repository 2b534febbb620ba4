"""Events, and which of them still tell of what is there now.

Events outlive what they tell of (an hour by default) and are only ever added up, so each is held against the object
of today: its uid, when it was made, and when its spec was last changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from flowerbed.kubernetes.explain.reading import Object, at, moment, name, objects, text

EVER = datetime.min.replace(tzinfo=UTC)


def last_time(event: Object) -> datetime:
    """Return when an event was last seen.

    Controllers and kubelet write `lastTimestamp`; the scheduler, which uses events.k8s.io, writes `eventTime` and
    `series` (k8s.io/api, core/v1/types.go, `Event`).
    """
    times = (
        moment(event, "series", "lastObservedTime"),
        moment(event, "lastTimestamp"),
        moment(event, "eventTime"),
        moment(event, "firstTimestamp"),
        moment(event, "metadata", "creationTimestamp"),
    )
    return next((time for time in times if time is not None), EVER)


def of(item: Object, events: Sequence[Object], *reasons: str, kind: str = "") -> list[Object]:
    """Return the events of an object that are of it and no forebear, newest first.

    Parameters
    ----------
    item : dict
        The object.
    events : sequence of dict
        Events of its namespace.
    reasons : str
        Only those with one of these reasons; all if none is given.
    kind : str
        The object's kind, where lists leave it out.
    """
    uid, born = text(item, "metadata", "uid"), moment(item, "metadata", "creationTimestamp")
    found = []
    for event in events:
        about = at(event, "involvedObject")
        theirs = text(about, "uid")
        if uid and theirs:
            mine = uid == theirs
        else:
            same_kind = not kind or text(about, "kind") in ("", kind)
            mine = bool(name(item)) and text(about, "name") == name(item) and same_kind
        if not mine or (reasons and text(event, "reason") not in reasons):
            continue
        if born is not None and last_time(event) is not EVER and _second(last_time(event)) < _second(born):
            continue
        found.append(event)
    return sorted(found, key=last_time, reverse=True)


def since(events: Sequence[Object], time: datetime | None) -> list[Object]:
    """Return the events that were last seen at a time or later."""
    if time is None:
        return list(events)
    return [event for event in events if last_time(event) is EVER or _second(last_time(event)) >= _second(time)]


def changed_at(item: Object) -> datetime | None:
    """Return when an object was last changed by anybody but a status update.

    From `managedFields`, of which each entry has the time of its last change (k8s.io/apimachinery,
    `ManagedFieldsEntry`; status updates have the subresource ``status``).
    """
    entries = [entry for entry in objects(item, "metadata", "managedFields") if not text(entry, "subresource")]
    times = [moment(entry, "time") for entry in entries] + [moment(item, "metadata", "creationTimestamp")]
    known = [time for time in times if time is not None]
    return max(known) if known else None


def _second(time: datetime) -> datetime:
    """Round down: most of the API's times are whole seconds, and some have microseconds."""
    return time.replace(microsecond=0)
