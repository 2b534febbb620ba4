"""Figures: several values of ours, several of the baseline, and how they compare."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Comparison = Literal["ratio", "difference", "none"]


@dataclass(frozen=True)
class Series:
    """Values of one thing, measured several times.

    Parameters
    ----------
    values : tuple of float
        In the order in which they were measured; at least one.
    """

    values: tuple[float, ...]

    @classmethod
    def of(cls, values: Iterable[float]) -> Series:
        """Return a series of these values."""
        return cls(tuple(values))

    @property
    def median(self) -> float:
        """The value in the middle."""
        return statistics.median(self.values)

    def text(self, form: str = ".2f") -> str:
        """Return the median, with the smallest and the largest value where they differ."""
        middle, least, most = (format(value, form) for value in (self.median, min(self.values), max(self.values)))
        return middle if least == most else f"{middle} ({least}–{most})"

    def as_dict(self) -> dict[str, object]:
        """Return the series for JSON."""
        return {"median": self.median, "min": min(self.values), "max": max(self.values), "values": list(self.values)}


@dataclass(frozen=True)
class Figure:
    """One line of the benchmark.

    Parameters
    ----------
    name : str
        What was measured.
    unit : str
        ``s`` or ``MB`` (millions of bytes).
    ours : Series
        With Flowerbed.
    baseline : Series or None
        Without.
    baseline_is : str
        What the baseline is, in a few words.
    comparison : {"ratio", "difference", "none"}
        How the two are compared: pair by pair where both have as many values, else by their medians.
    target : str
        What issue 3 asks for; empty for a line that is only for information.
    limit : float or None
        The target as a number.
    judged : {"ours", "comparison"}
        What must not be above the limit: our own median, or the comparison's.
    holds : bool or None
        Whether a target that is no number was met.
    note : str
        What one should know beside it.
    extra : dict
        More, for JSON only.
    """

    name: str
    unit: str
    ours: Series
    baseline: Series | None = None
    baseline_is: str = ""
    comparison: Comparison = "none"
    target: str = ""
    limit: float | None = None
    judged: Literal["ours", "comparison"] = "ours"
    holds: bool | None = None
    note: str = ""
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def compared(self) -> Series | None:
        """The ratio or the difference of each pair."""
        if self.baseline is None or self.comparison == "none":
            return None
        ours, baseline = self.ours.values, self.baseline.values
        if len(ours) != len(baseline):
            ours, baseline = (self.ours.median,), (self.baseline.median,)
        pairs = zip(ours, baseline, strict=True)
        return Series.of(a / b if self.comparison == "ratio" else a - b for a, b in pairs)

    @property
    def met(self) -> bool | None:
        """Whether the target was met; None where there is none."""
        if self.limit is None:
            return self.holds
        judged = self.ours if self.judged == "ours" else self.compared
        return judged is not None and judged.median <= self.limit

    def as_dict(self) -> dict[str, object]:
        """Return the figure for JSON."""
        return {
            "name": self.name,
            "unit": self.unit,
            "ours": self.ours.as_dict(),
            "baseline": None if self.baseline is None else {"is": self.baseline_is, **self.baseline.as_dict()},
            "comparison": None if self.compared is None else {"is": self.comparison, **self.compared.as_dict()},
            "target": self.target or None,
            "met": self.met,
            "note": self.note or None,
            **({"extra": self.extra} if self.extra else {}),
        }

    def row(self) -> list[str]:
        """Return the figure as cells under `HEADINGS`."""
        form = ".1f" if self.unit == "MB" else ".2f"
        compared = self.compared
        if compared is None:
            against = "-"
        elif self.comparison == "ratio":
            against = f"× {compared.text('.2f')}"
        else:
            against = f"{compared.text('+' + form)} {self.unit}"
        return [
            self.name,
            f"{self.ours.text(form)} {self.unit}",
            "-" if self.baseline is None else f"{self.baseline.text(form)} {self.unit} {self.baseline_is}",
            against,
            self.target or "-",
            {True: "met", False: "NOT MET", None: "-"}[self.met],
        ]


HEADINGS = ["WHAT", "OURS", "BASELINE", "AGAINST IT", "TARGET", ""]


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as a table, notes below it."""
    rows = [HEADINGS, *(figure.row() for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    notes = [f"{figure.name}: {figure.note}" for figure in figures if figure.note]
    return "\n".join([*lines, "", *notes] if notes else lines)
