"""A run's log as it comes in, piece by piece, and the rounds that it tells."""

from __future__ import annotations

from flowerbed.runs.lines import LineParser
from flowerbed.runs.progress import Progress, advance, end


class RunLog:
    """Reads one run's log; `progress` is what it has told so far."""

    def __init__(self) -> None:
        self.progress = Progress()
        self._parser = LineParser()

    def feed(self, text: str, now: float, *, last: bool = False, completed: bool = True) -> bool:
        """Take the next piece, which may begin and end within a line; return whether it told something.

        Parameters
        ----------
        text : str
            The piece.
        now : float
            Unix time in seconds.
        last : bool
            Nothing comes after it: what is still open ends now.
        completed : bool
            With `last`: the ServerApp came to its end, so the round that was going on did too.
        """
        before = self.progress
        for item in self._parser.feed(text, now) + (self._parser.finish(now) if last else []):
            self.progress = advance(self.progress, item)
        if last:
            self.progress = end(self.progress, now, cut_off=not completed)
        return self.progress != before
