"""Metrics as Python prints them, read back into numbers without running anything."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import cast

# What a print-out of metrics can hold once read: numbers, and whatever else an app puts beside them.
Value = float | str | None | list["Value"] | dict["Value", "Value"]


def read(text: str) -> Value:
    """Read what ``repr`` printed: numbers, strings, lists, tuples and dicts, ``nan`` and ``inf``, ``np.float64(0.5)``.

    Raises
    ------
    ValueError
        The text is no such print-out, or not the whole of one.
    """
    try:
        return _value(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, RecursionError, MemoryError, TypeError) as error:
        raise ValueError(f"not a printed value: {text[:80]!r}") from error


def numbers(value: Value) -> dict[str, float]:
    """Return the numbers of a metrics dict under their names; lists and words are not metrics that can be shown.

    Flower's own final table prints its numbers as words (``'5.0000e-01'``), so a word that is a number counts.
    """
    if not isinstance(value, Mapping):
        return {}
    found = {}
    for name, item in value.items():
        number = number_of(item)
        if number is not None:
            found[str(name)] = number
    return found


def number_of(value: Value) -> float | None:
    """Return a number, or a word that spells one, as a float."""
    if not isinstance(value, (float, str)):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _value(node: ast.expr) -> Value:
    match node:
        case ast.Constant(value=bool() | None):
            return None
        case ast.Constant(value=int() | float() as number):
            return _float(number)
        case ast.Constant(value=str() as word):
            return word
        case ast.Name(id="nan" | "inf" as name):
            return float(name)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            inner = _value(operand)
            return -inner if isinstance(inner, float) else None
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_value(item) for item in items]
        case ast.Dict(keys=keys, values=values):
            names = [None if key is None else _value(key) for key in keys]
            return {cast("str", name): _value(item) for name, item in zip(names, values, strict=True)}
        case ast.Call(args=[first, *_]):  # np.float64(0.5), array(0.5, dtype=float32), tensor(0.5)
            return _value(first)
        case _:
            return None


def _float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:  # an int beyond what a float holds
        return float("inf") if number > 0 else float("-inf")
