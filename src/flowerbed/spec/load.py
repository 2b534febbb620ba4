"""From federation.yaml to a `Federation`, or to every problem in it at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from flowerbed.errors import Problem, SpecError, UsageError
from flowerbed.spec.consistency import inconsistencies
from flowerbed.spec.document import Document, read_document
from flowerbed.spec.finding import Finding
from flowerbed.spec.model import API_VERSION, KIND, Federation
from flowerbed.spec.names import FEDERATION_FILE
from flowerbed.spec.problems import problem_at, problems_of
from flowerbed.spec.words import found

_NEW = f"`flowerbed new NAME` writes an app with its {FEDERATION_FILE}."
_SMALLEST = (
    f"the smallest is {{apiVersion: {API_VERSION}, kind: {KIND}, "
    "metadata: {name: demo}, spec: {supernodes: [{name: supernode}]}}"
)


@dataclass(frozen=True)
class Loaded:
    """A federation and the text that it was read from.

    Parameters
    ----------
    federation : Federation
        What the file says.
    path : Path
        The file.
    text : str
        Its text.
    document : Document
        Where everything stands in it.
    """

    federation: Federation
    path: Path
    text: str
    document: Document

    def problem(self, finding: Finding) -> Problem:
        """Give a later finding, such as one of `flowerbed.spec.limits`, its place in the file."""
        return problem_at(self.document, finding)


def load(path: Path) -> Loaded:
    """Read a federation file.

    Raises
    ------
    UsageError
        If there is no such file, or it cannot be read.
    SpecError
        With every problem of its content.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UsageError(
            "there is no such file",
            where=str(path),
            hint=_NEW,
        ) from None
    except IsADirectoryError:
        inside = path / FEDERATION_FILE
        hint = f"Did you mean {inside}?" if inside.is_file() else _NEW
        raise UsageError("is a folder, not a file", where=str(path), hint=hint) from None
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=str(path)) from None
    except ValueError as error:  # a null character in the path
        raise UsageError(f"is not a path: {error}", where=repr(str(path))) from None
    return parse(decoded(content, str(path)), str(path))


def parse(text: str, file: str) -> Loaded:
    """Read a federation from text.

    Parameters
    ----------
    text : str
        YAML.
    file : str
        The file's name, for messages.

    Raises
    ------
    SpecError
        With every problem, in the order of the file.
    """
    document = read_document(text, file)
    problems = list(document.problems)
    federation = None
    if document.data is None:
        problems.append(Problem("is empty", file, 1, 1, _SMALLEST))
    elif not isinstance(document.data, dict):
        place = document.place(())
        message = f"wanted a mapping that starts with apiVersion, found {found(document.data)}"
        problems.append(Problem(message, file, place.line, place.column, _SMALLEST))
    else:
        problems += [problem_at(document, finding) for finding in inconsistencies(document.data)]
        try:
            federation = Federation.model_validate(document.data, by_alias=True, by_name=False)
        except ValidationError as error:
            problems += problems_of(error.errors(include_url=False), document)
    if problems or federation is None:
        raise SpecError(sorted(problems, key=lambda problem: (problem.line, problem.column)))
    return Loaded(federation, Path(file), text, document)


def decoded(content: bytes, file: str) -> str:
    """Return a file's text.

    Raises
    ------
    SpecError
        With the place of the first byte that is not UTF-8.
    """
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8")
        line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
        message = f"the byte 0x{content[error.start]:02x} is not UTF-8"
        raise SpecError([Problem(message, file, line, column, "save the file as UTF-8")]) from None
