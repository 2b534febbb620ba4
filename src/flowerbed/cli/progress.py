"""How far something is that takes its time."""

from __future__ import annotations

from flowerbed.cli.output import Output
from flowerbed_inside.text import size_text


class Progress:
    """Says how far a copy is: every hundredth on a terminal, every fourth elsewhere."""

    def __init__(self, out: Output, name: str) -> None:
        self._out, self._name = out, name
        self._parts, self._said = (100 if out.live else 4), 0

    def __call__(self, done: int, total: int) -> None:
        """Take how many bytes of how many are done."""
        part = done * self._parts // total if total else 0
        if part > self._said:
            self._said = part
            self._out.step(f"{self._name}: {size_text(done)} of {size_text(total)}")
