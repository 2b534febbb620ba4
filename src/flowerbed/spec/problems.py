"""Pydantic's errors as problems at a line and column, in words that say what to write."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, get_args, get_origin

from pydantic import BaseModel

from flowerbed.errors import Problem
from flowerbed.spec.consistency import INCONSISTENT
from flowerbed.spec.finding import Finding, Path, dotted
from flowerbed.spec.model import API_VERSION, KIND, Federation
from flowerbed.spec.section import Borrowed
from flowerbed.spec.words import found, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pydantic_core import ErrorDetails

    from flowerbed.spec.document import Document

_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "tuple_type": "a list",
}
_PAIR = re.compile(r"([A-Za-z]\w*):(\S.*)")
_LITERALS = {"apiVersion": API_VERSION, "kind": KIND}
_SMALLEST = {
    **_LITERALS,
    "metadata": "{name: demo}",
    "spec": "{supernodes: [{name: site, replicas: 2}]}",
    "supernodes": "[{name: site, replicas: 2}]",
}
"""What to write where a key is missing."""


def problem_at(document: Document, finding: Finding, *, at_key: bool = False) -> Problem:
    """Give a finding its place in the file."""
    place = document.place(finding.path)
    line, column = (place.key_line, place.key_column) if at_key else (place.line, place.column)
    message = f"{dotted(finding.path)}: {finding.message}" if finding.path else finding.message
    return Problem(message, document.file, line, column, finding.hint)


def problems_of(errors: Sequence[ErrorDetails], document: Document) -> list[Problem]:
    """Translate pydantic's errors.

    Parameters
    ----------
    errors : sequence of ErrorDetails
        Of validating the document's data by alias.
    document : Document
        Where the data stands.

    Returns
    -------
    list of Problem
        In pydantic's order. A key that is missing because it is misspelt is one problem, not two.
    """
    meant = {(*error["loc"][:-1], _meant(error) or "") for error in errors if error["type"] == "extra_forbidden"}
    return [
        problem for error in errors if not _repeats_another(error, meant) for problem in _translate(error, document)
    ]


def _repeats_another(error: ErrorDetails, meant: set[Path]) -> bool:
    match error["type"]:
        case "missing":
            return error["loc"] in meant
        case "too_short":  # pydantic counts only the items without a fault
            return bool(error["input"])
        case kind:
            return kind == INCONSISTENT


def _translate(error: ErrorDetails, document: Document) -> Iterator[Problem]:
    path, kind = error["loc"], error["type"]
    context = error.get("ctx", {})
    match kind:
        case "extra_forbidden":
            yield problem_at(document, Finding(path, "no such key", _key_hint(error)), at_key=True)
        case "missing":
            hint = f"write {path[-1]}: {_SMALLEST[str(path[-1])]}" if path[-1] in _SMALLEST else None
            yield problem_at(document, Finding(path, "is missing", hint), at_key=True)
        case "literal_error":
            wanted = _LITERALS[str(path[-1])]
            yield problem_at(document, Finding(path, f"is {found(error['input'])}", f"write {path[-1]}: {wanted}"))
        case "enum":
            values = str(context["expected"]).replace("'", "")
            guess = nearest(str(error["input"]), re.split(", | or ", values))
            yield problem_at(
                document,
                Finding(path, f"wanted {values}, found {found(error['input'])}", f"write {guess}" if guess else None),
            )
        case "too_short":
            yield problem_at(document, Finding(path, "wanted at least one, found none"))
        case "string_too_short":
            yield problem_at(document, Finding(path, "is empty"))
        case "flowerbed":
            at_key = bool(path) and path[-1] == "[key]"
            finding = Finding(path[:-1] if at_key else path, str(context["message"]), str(context["hint"]) or None)
            yield problem_at(document, finding, at_key=at_key)
        case _ if kind in _WANTED:
            yield problem_at(document, _wrong_type(path, _WANTED[kind], error["input"], document))
        case _:
            yield problem_at(document, Finding(path, error["msg"]))


def _wrong_type(path: Path, wanted: str, value: object, document: Document) -> Finding:
    source = document.place(path).source
    if wanted == "text" and source and isinstance(value, bool | int | float):
        # 1.40 without quotes is the number 1.4: only what is written tells the release that was meant.
        written = "" if source in found(value) else f" (from {source})"
        key = f"{path[-1]}: " if isinstance(path[-1], str) else ""
        return Finding(path, f"wanted text, found {found(value)}{written}", f'put it in quotes: {key}"{source}"')
    if value is None:
        hint = "write it after the colon" + ("" if _is_required(path) else ", or leave the key out")
    elif isinstance(value, str) and wanted == "a mapping" and (pair := _PAIR.fullmatch(value)):
        hint = f"write a space after the colon: {pair[1]}: {pair[2]}"
    elif isinstance(value, str) and wanted == "a whole number" and value.strip().isdecimal():
        hint = "leave out the quotes"
    else:
        hint = None
    return Finding(path, f"wanted {wanted}, found {found(value)}", hint)


def _is_required(path: Path) -> bool:
    if not path or not isinstance(path[-1], str):
        return True  # an item of a list
    model = _model_within(path[:-1])
    fields = model.model_fields if model is not None else {}  # a key of the user's own, such as a label's
    return any((info.alias or name) == path[-1] and info.is_required() for name, info in fields.items())


def _meant(error: ErrorDetails) -> str | None:
    return nearest(str(error["loc"][-1]), _keys(_model_at(error["loc"][:-1])))


def _key_hint(error: ErrorDetails) -> str:
    if meant := _meant(error):
        return f'did you mean "{meant}"?'
    key = str(error["loc"][-1])
    if elsewhere := next((path for path, model in _models() if key in _keys(model)), None):
        return f"it belongs into {elsewhere}"
    return f"there is {', '.join(_keys(_model_at(error['loc'][:-1])))}"


def _keys(model: type[BaseModel]) -> list[str]:
    """Return a section's keys, what is its own before what it has in common with others."""
    fields = sorted(model.model_fields.items(), key=lambda field: field[0] not in model.__annotations__)
    return [info.alias or name for name, info in fields]


def _model_at(path: Path) -> type[BaseModel]:
    model = _model_within(path)
    if model is None:
        raise LookupError(path)
    return model


def _model_within(path: Path) -> type[BaseModel] | None:
    """Return the section at a path; None where its keys are the user's own."""
    model: type[BaseModel] | None = Federation
    for step in path:
        if isinstance(step, str) and model is not None:
            fields = model.model_fields.items()
            annotation = next((info.annotation for name, info in fields if (info.alias or name) == step), None)
            model = _model_in(annotation)
    return model


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for part in get_args(annotation) if (model := _model_in(part))), None)


def _models(model: type[BaseModel] = Federation, path: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    yield path or "the top of the file", model
    for name, info in model.model_fields.items():
        if (child := _model_in(info.annotation)) and not issubclass(child, Borrowed):
            plural = "[]" if get_origin(info.annotation) is tuple else ""
            yield from _models(child, f"{path}.{info.alias or name}{plural}".lstrip("."))
