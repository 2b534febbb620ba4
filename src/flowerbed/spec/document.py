"""YAML text as plain data, and where each key and value of it stands.

Scalars are read by YAML 1.2's core schema: only ``true`` and ``false`` are booleans, so ``NO`` is Norway,
``12:30`` a text and ``1_000`` too. PyYAML's own schema is YAML 1.1's; only its scanner and parser are used.
What would mean one thing to us and another to the next reader of the file is refused: duplicate keys, tags,
merge keys, numbers with leading zeros.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from flowerbed.errors import Problem, SpecError
from flowerbed.spec.finding import Path, dotted
from flowerbed.spec.words import found

# A file beyond these was not written by hand; they keep PyYAML's time and our stack within bounds.
_LONGEST_TEXT = 256 * 1024
_DEEPEST = 40
_MOST_NODES = 100_000
_LONGEST_NUMBER = 100

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9_]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = {sign + dot: float(sign + dot[1:]) for sign in ("", "+", "-") for dot in (".inf", ".Inf", ".INF")} | {
    dot: float("nan") for dot in (".nan", ".NaN", ".NAN")
}

_HINTS = {
    "mapping values are not allowed": 'a text with ": " in it needs quotes; otherwise look at the indentation',
    "could not find expected ':'": 'a key is followed by ": " and its value',
    "expected <block end>": "this does not line up with what is above it",
}


@dataclass(frozen=True)
class Place:
    """Where a value and its key stand, counted from 1.

    Parameters
    ----------
    line, column : int
        Where the value starts; where its key does, if nothing is written after it.
    key_line, key_column : int
        Where its key starts; where the value does, for items of a list and the whole document.
    source : str or None
        What is written there, for a scalar without quotes.
    """

    line: int
    column: int
    key_line: int
    key_column: int
    source: str | None = None


@dataclass
class Document:
    """A YAML document.

    Parameters
    ----------
    data : object
        dict, list, str, int, float, bool or None.
    places : dict of path to Place
        Where everything stands.
    problems : list of Problem
        What is wrong with it, as far as reading could go on.
    """

    file: str
    data: object = None
    places: dict[Path, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def place(self, path: Path) -> Place:
        """Return where a path stands, or the nearest thing above it that is written."""
        while path not in self.places and path:
            path = path[:-1]
        return self.places.get(path, Place(1, 1, 1, 1))


def read_document(text: str, file: str) -> Document:
    """Read YAML text.

    Raises
    ------
    SpecError
        If the text cannot be read as YAML at all. Lesser problems are in the document.
    """
    text = text.removeprefix("\ufeff")
    if len(text) > _LONGEST_TEXT:
        raise SpecError([Problem(f"is longer than {_LONGEST_TEXT // 1024} KiB", file, 1, 1)])
    document = Document(file)
    try:
        _survey(text, document)
        root = next(iter(yaml.compose_all(text, Loader=yaml.BaseLoader)), None)
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        place = before.count("\n") + 1, error.position - (before.rfind("\n") + 1) + 1
        code = f"U+{ord(error.character) if isinstance(error.character, str) else error.character:04X}"
        raise SpecError([Problem(f"holds the character {code}, which YAML does not allow", file, *place)]) from None
    except yaml.MarkedYAMLError as error:
        raise SpecError([_syntax_problem(error, text, file)]) from None
    except (ValueError, OverflowError) as error:  # an escape or a directive with a number that Python cannot take
        raise SpecError([Problem(f"cannot be read as YAML: {error}", file, 1, 1)]) from None
    if root is not None:
        size, depth = _extent(root, {})
        if size > _MOST_NODES or depth > _DEEPEST + 1:
            message = f"its aliases stand for themselves, or for more than {_MOST_NODES:,} values or {_DEEPEST} levels"
            raise SpecError([Problem(message, file, 1, 1, "write the values out")])
        document.data = _Builder(document).build(root, ())
    return document


def _survey(text: str, document: Document) -> None:
    """Go through the text once without building anything: depth, documents, tags."""
    loader = yaml.BaseLoader(text)
    depth = documents = 0
    while loader.check_event():
        event: Any = loader.get_event()  # type: ignore[no-untyped-call]
        mark = event.start_mark
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents == 2:
                message, hint = (
                    "starts a second document; one file holds one federation",
                    "move it to a file of its own",
                )
                document.problems.append(Problem(message, document.file, mark.line + 1, mark.column + 1, hint))
        elif isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEEPEST:
                message = f"is nested more than {_DEEPEST} levels deep"
                raise SpecError([Problem(message, document.file, mark.line + 1, mark.column + 1)])
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if getattr(event, "tag", None) is not None and documents < 2:
            message, hint = f"{_tag(event.tag)} is a tag, and none are used here", "put text in quotes instead"
            document.problems.append(Problem(message, document.file, mark.line + 1, mark.column + 1, hint))


def _tag(tag: str) -> str:
    return tag.replace("tag:yaml.org,2002:", "!!", 1)


def _without_space(lines: list[str]) -> tuple[int, str] | None:
    """Return the last of some lines, by index, if it is `key:value`, and its key; or the one before it, if that is."""
    for index in range(len(lines) - 1, max(len(lines) - 3, -1), -1):
        if glued := re.fullmatch(r"\s*(?:- +)*([A-Za-z]\w*):[^\s/:][^:]*", lines[index]):
            return index, glued[1]
    return None


def _syntax_problem(error: yaml.MarkedYAMLError, text: str, file: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    lines = text.splitlines()
    source = lines[line] if line < len(lines) else ""
    indentation = source[: len(source) - len(source.lstrip(" \t"))]
    if "\t" in indentation or "'\\t'" in (error.problem or ""):
        column = indentation.find("\t") if "\t" in indentation else column
        return Problem("a tab; YAML is indented with spaces only", file, line + 1, column + 1, "replace it by spaces")
    if glued := _without_space(lines[: line + 1]):
        at, key = glued
        column = lines[at].index(key)
        return Problem(
            f"{found(lines[at].strip())} is one text",
            file,
            at + 1,
            column + 1,
            f"write a space after the colon: {key}: …",
        )
    message = "; ".join(part for part in (error.problem, error.context) if part)
    hint = next((hint for words, hint in _HINTS.items() if words in message), None)
    return Problem(f"cannot be read as YAML: {message}", file, line + 1, column + 1, hint)


def _extent(node: yaml.Node, known: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """Return how many values a node stands for, and how deep they nest, once its aliases are written out.

    An alias comes after its anchor, so what it stands for is already known, unless it stands in itself.
    """
    key = id(node)
    if key not in known:
        known[key] = _MOST_NODES + 1, _DEEPEST + 1  # seen only by an alias within: it holds itself, without an end
        children: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            children = [child for pair in node.value for child in pair]
        elif isinstance(node, yaml.SequenceNode):
            children = node.value
        extents = [_extent(child, known) for child in children]
        known[key] = 1 + sum(size for size, _ in extents), 1 + max((depth for _, depth in extents), default=0)
    return known[key]


class _Builder:
    """Makes data of nodes; notes where each stands and what is wrong."""

    def __init__(self, document: Document) -> None:
        self._document = document

    def build(self, node: yaml.Node, path: Path, key: yaml.Node | None = None) -> object:
        source = node.value if isinstance(node, yaml.ScalarNode) and node.style is None else None
        start = key if key is not None and source == "" else node
        mark, key_mark = start.start_mark, (key or start).start_mark
        self._document.places[path] = Place(
            mark.line + 1, mark.column + 1, key_mark.line + 1, key_mark.column + 1, source
        )
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._quoted(node) if source is None else self._scalar(source, node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, object]:
        data: dict[str, object] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._problem(key, "a key must be a word, not a list or a mapping")
                continue
            if key.value == "<<" and key.style is None:
                self._problem(key, "<< (a merge key) is not part of YAML 1.2", "write the keys out")
                continue
            name = self._quoted(key)
            here = (*path, name)
            if name in data:
                first = self._document.places[here]
                self._problem(key, f"{dotted(here)} is already on line {first.key_line}", "keep one of the two")
                continue
            data[name] = self.build(value, here, key)
        return data

    def _quoted(self, node: yaml.Node) -> str:
        """Return a scalar's text; surrogates that JSON's escapes make become the characters that they stand for."""
        text: str = node.value
        if any("\ud800" <= character <= "\udfff" for character in text):
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            if "\ufffd" in text:
                self._problem(node, "has an escape for half of a character (a surrogate)", "write the character itself")
        return text

    def _scalar(self, text: str, node: yaml.Node, path: Path) -> object:
        if text in _NULL:
            return None
        if text in _BOOLEANS:
            return _BOOLEANS[text]
        if text in _NOT_FINITE:
            return _NOT_FINITE[text]
        if _LEADING_ZERO.fullmatch(text):
            message = f"{dotted(path)}: {text} is octal to some readers of YAML and decimal to others"
            self._problem(node, message, "put it in quotes, or leave out the leading zeros")
            return text
        if _INTEGER.fullmatch(text) or _FLOAT.fullmatch(text):
            if len(text) > _LONGEST_NUMBER:
                self._problem(
                    node, f"{dotted(path)}: a number of {len(text)} digits", "put it in quotes to make it text"
                )
                return text
            return (
                (int(text, 0) if text[:2] in {"0x", "0o"} else int(text)) if _INTEGER.fullmatch(text) else float(text)
            )
        return text

    def _problem(self, node: yaml.Node, message: str, hint: str | None = None) -> None:
        mark = node.start_mark
        self._document.problems.append(Problem(message, self._document.file, mark.line + 1, mark.column + 1, hint))
