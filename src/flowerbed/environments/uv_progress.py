"""What uv says while it works, as one line that names what is still on its way. Pure.

Where nobody watches a terminal, uv says ``Downloading torch (797.2MiB)`` and later `` Downloaded torch`` of what is
large, and ``Building name==1.0`` and ``Built name==1.0`` of what has no wheel (uv 0.4 to 0.9).
"""

from __future__ import annotations

import re

from flowerbed.environments.uv_errors import yanked

_UNINTERESTING = (" + ", " - ", " ~ ", "warning:", "Using ", "Creating ", "Activate ", "Audited ")
_BEGINS = re.compile(r"(?P<what>Downloading|Building) (?P<name>\S+)(?: \((?P<size>[^)]*)\))?")
_ENDS = {"Downloaded": "Downloading", "Built": "Building"}
_NAMED = 3


class Ongoing:
    """Follows what a program says.

    Parameters
    ----------
    doing : str
        What it does, for as long as it says nothing; empty to say nothing either.
    """

    def __init__(self, doing: str = "") -> None:
        self._said = doing
        self._under_way: dict[tuple[str, str], str] = {}

    def hear(self, line: str) -> str:
        """Take a line; return what is to be told now, or nothing."""
        words = line.split()
        if found := _BEGINS.match(line.strip()):
            size = f" ({found['size']})" if found["size"] else ""
            self._under_way[found["what"], found["name"]] = f"{found['name']}{size}"
        elif len(words) >= 2 and (what := _ENDS.get(words[0])):
            self._under_way.pop((what, words[1]), None)
        interesting = line.strip() and not line.startswith((*_UNINTERESTING, "error:", "  "))
        if not (interesting or words[:1] == ["Built"] or yanked([line])):
            return ""
        self._said = line.strip()
        return self._said

    @property
    def now(self) -> str:
        """What goes on, in words: what is under way, else what was said last."""
        parts = []
        for what in ("Downloading", "Building"):
            names = [text for (kind, _), text in self._under_way.items() if kind == what]
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            if names:
                parts.append(f"{what} {', '.join(names[:_NAMED])}{more}")
        return "; ".join(parts) or self._said
