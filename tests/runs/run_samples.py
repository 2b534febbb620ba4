"""Logs that real Flower releases wrote, in ``samples/``, and shorthands to read them.

Each ``RELEASE-WHAT.log`` is what that release's SuperLink streamed for one run of a small app with two SuperNodes and
two rounds (paths shortened, nothing else changed); ``.clientapp.log`` is what one SuperNode's ClientApps printed.

========== ==================================================================================
good        train, evaluate and central evaluation, all fine
partial     the second SuperNode's ClientApp raised in round 2's training
allfail     every ClientApp raised in training; Flower still says ``completed``
noeval      ``fraction_evaluate=0``
strange     metrics that are nan, -inf, lists and integers
silent      a loop of the app's own that prints one line
serverraise the ServerApp raised before its strategy began
aggraise    the strategy raised in round 2
legacy      a ``server_fn`` and a ``client_fn`` (``flwr.server``)
legacyfail  the same, with every ClientApp raising in ``fit``
========== ==================================================================================
"""

from __future__ import annotations

import itertools
from pathlib import Path

from flowerbed.runs.events import LogEvent
from flowerbed.runs.lines import LineParser
from flowerbed.runs.progress import Progress, advance, end

SAMPLES = Path(__file__).parent / "samples"
RELEASES = ("1.22.0", "1.31.0", "1.41.0")


def sample(name: str) -> str:
    """Return a log's text."""
    return (SAMPLES / f"{name}.log").read_text(encoding="utf-8")


def events_of(text: str, *cuts: int) -> list[LogEvent]:
    """Parse a text that arrives in pieces, cut at these places, all at time 0."""
    parser = LineParser()
    places = [0, *sorted(cuts), len(text)]
    found = [e for a, b in itertools.pairwise(places) for e in parser.feed(text[a:b], 0.0)]
    return found + parser.finish(0.0)


def progress_of(text: str) -> Progress:
    """Reduce a whole log."""
    progress = Progress()
    for event in events_of(text):
        progress = advance(progress, event)
    return end(progress, 0.0)
