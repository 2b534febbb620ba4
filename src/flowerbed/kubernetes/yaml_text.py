"""YAML text that every reader takes for the same data, whichever version of YAML it reads.

A text is written plain only if it obviously is one, as a block if it has several lines, else in double quotes: YAML 1.1
has sixty-odd spellings of booleans and numbers (``on``, ``y``, ``1e3``, ``12:30``), and readers differ in which they
know. The order of keys is that of the data, so the same data is the same text. It is written by hand because PyYAML's
emitter quotes none of ``y``, ``n``, ``1e3`` and ``0o644``, and takes half a minute for a thousand SuperNodes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

Data: TypeAlias = object
"""Mappings with text as keys, lists, tuples, text, numbers, true, false and nothing."""


class Verbatim(str):
    """What stands in the text as it is, such as a template's action; as a key it is a line without a value."""

    __slots__ = ()


_PLAIN = re.compile(
    r"""
    [A-Za-z/][-A-Za-z0-9_./]*(?::[-A-Za-z0-9_./]+)*   # words, paths, labels, images with their tags
    | --?[A-Za-z][-A-Za-z0-9]*                        # options
    | [1-9][0-9]{0,8}(?:m|Ki|Mi|Gi|Ti)                # quantities
    """,
    re.VERBOSE,
)
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf", "infinity"})
"""What is no text to some reader, in small letters."""

_LONGEST_PLAIN = 200
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0"}
_PLAIN_ASCII = re.compile(r"[ !#-\[\]-~]*")


def dump(data: Data) -> str:
    """Return one document: a mapping or a list, and all in it."""
    return "".join(f"{line}\n" for line in _lines(data))


def dump_all(documents: Iterable[Data]) -> str:
    """Return several documents as one stream."""
    return "---\n".join(map(dump, documents))


def _lines(data: Data) -> Iterator[str]:
    """Yield the lines of a value that starts on a line of its own, without indentation."""
    if isinstance(data, Mapping) and data:
        for key, value in data.items():
            if isinstance(key, Verbatim):
                yield key
                continue
            yield from _entry(f"{_scalar(str(key))}:", value, nested="" if isinstance(value, list | tuple) else "  ")
    elif isinstance(data, list | tuple) and data:
        for item in data:
            yield from _item(item)
    else:
        yield _flow(data)


def _entry(head: str, value: Data, *, nested: str) -> Iterator[str]:
    """Yield a key and its value: beside it, or below it."""
    if isinstance(value, str) and (block := _block(value)) is not None:
        yield f"{head} {block[0]}"
        yield from (f"  {line}" if line else "" for line in block[1])
    elif isinstance(value, Mapping | list | tuple) and value:
        yield head
        yield from (f"{nested}{line}" if line else "" for line in _lines(value))
    else:
        yield f"{head} {_flow(value)}"


def _item(value: Data) -> Iterator[str]:
    """Yield an item of a list: a collection in it starts beside the hyphen."""
    if isinstance(value, str):
        yield from _entry("-", value, nested="")
        return
    first = True
    for line in _lines(value):
        yield f"- {line}" if first else f"  {line}" if line else ""
        first = False


def _flow(value: Data) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return _float(value)
        case Verbatim():
            return value
        case str():
            return _scalar(value)
        case Mapping():
            return "{}"
        case _:
            return "[]"


def _float(value: float) -> str:
    if math.isnan(value):
        return ".nan"
    if math.isinf(value):
        return ".inf" if value > 0 else "-.inf"
    mantissa, exponent, power = repr(value).partition("e")
    point = "" if "." in mantissa else ".0"
    sign = "" if not exponent or power[0] in "+-" else "+"
    return f"{mantissa}{point}{exponent}{sign}{power}"


def _scalar(text: str) -> str:
    if len(text) <= _LONGEST_PLAIN and _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    if _PLAIN_ASCII.fullmatch(text):
        return f'"{text}"'
    return f'"{"".join(map(_character, text))}"'


def _character(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _block(text: str) -> tuple[str, list[str]] | None:
    """Return a text of several lines as a block's head and lines; None if quotes are safer.

    They are where spaces at the start or at the end of a line could be taken for indentation or for nothing.
    """
    if "\n" not in text or isinstance(text, Verbatim):
        return None
    lines = text.removesuffix("\n").split("\n")
    if not lines[0] or lines[0][0] == " " or not lines[-1]:
        return None
    if any(line[-1:] in (" ", "\t") or not line.replace("\t", " ").isprintable() or line[:1] == "\t" for line in lines):
        return None
    return ("|" if text.endswith("\n") else "|-"), lines
