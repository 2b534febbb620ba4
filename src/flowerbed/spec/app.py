"""A Flower App as its pyproject.toml tells it: a pure reading of the text; nothing is imported or built."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from flowerbed.errors import AppError
from flowerbed.spec import run_config
from flowerbed.spec.run_config import ConfigValue, NotAConfigValueError
from flowerbed.spec.toml import BYTE_ORDER_MARK, NotTomlError, line_of, read_toml
from flowerbed.spec.words import found

_REFERENCE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
_SMALLEST = (
    'A Flower App has [tool.flwr.app] with publisher = "…" in its pyproject.toml; `flowerbed new NAME` writes one.'
)


@dataclass(frozen=True)
class AppManifest:
    """What an app says about itself.

    Parameters
    ----------
    publisher, name, version : str
        As Flower names the app: ``publisher/name==version``.
    serverapp, clientapp : str
        References to the objects, ``package.module:object``.
    config : dict
        [tool.flwr.app.config], flattened: nested keys have dots.
    requirements : tuple of Requirement
        The dependencies that are written down; empty if they are dynamic.
    flwr_requirement : Requirement or None
        The one of them that is on Flower itself.
    dynamic_dependencies : bool
        Whether only the app's build back end can tell the dependencies: they are dynamic, or Poetry's.
    requires_python : SpecifierSet or None
        The releases of Python that the app allows; None if it does not say.
    flwr_place, python_place, serverapp_place, clientapp_place : str
        ``file:line`` of the requirement on Flower, of requires-python and of the references, or of where they would be.
    """

    publisher: str
    name: str
    version: str
    serverapp: str
    clientapp: str
    config: dict[str, ConfigValue] = field(default_factory=dict)
    requirements: tuple[Requirement, ...] = ()
    flwr_requirement: Requirement | None = None
    dynamic_dependencies: bool = False
    requires_python: SpecifierSet | None = None
    flwr_place: str = field(default="", compare=False)
    python_place: str = field(default="", compare=False)
    serverapp_place: str = field(default="", compare=False)
    clientapp_place: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.publisher}/{self.name}=={self.version}"

    @property
    def requirements_digest(self) -> str:
        """``sha256:…`` of what the app asks for; the order of its dependencies does not count.

        It does not cover dependencies that are dynamic, as nothing here knows them.
        """
        lines = [f"python {self.requires_python or ''}", f"dynamic {self.dynamic_dependencies}"]
        lines += sorted(str(requirement) for requirement in self.requirements)
        return f"sha256:{hashlib.sha256(chr(10).join(lines).encode()).hexdigest()}"


def parse_app(text: str, file: str) -> AppManifest:
    """Read a Flower App's pyproject.toml.

    Parameters
    ----------
    text : str
        TOML.
    file : str
        The file's name, for messages.

    Raises
    ------
    AppError
        If the text is not TOML, or not that of a Flower App.
    """
    try:
        data = read_toml(text)
    except NotTomlError as error:
        hint = "Save the file as UTF-8 without it." if text.startswith(BYTE_ORDER_MARK) else None
        raise AppError(
            f"is not TOML: {error.message}", where=f"{file}:{error.line}:{error.column}", hint=hint
        ) from None
    return _Reader(text, file, data).manifest()


class _Reader:
    """Reads one pyproject.toml; knows which table a message is about."""

    def __init__(self, text: str, file: str, data: Mapping[str, object]) -> None:
        self._text = text
        self._file = file
        self._data = data

    def manifest(self) -> AppManifest:
        app = self._table("tool.flwr.app")
        if app is None:
            raise AppError("is no Flower App: there is no [tool.flwr.app]", where=f"{self._file}:1", hint=_SMALLEST)
        self._check_project()
        requirements = self._requirements()
        return AppManifest(
            publisher=self._text_of("tool.flwr.app", "publisher"),
            name=self._metadata("name"),
            version=self._metadata("version"),
            serverapp=self._component("serverapp"),
            clientapp=self._component("clientapp"),
            config=self._config(),
            requirements=requirements or (),
            flwr_requirement=next((one for one in requirements or () if canonicalize_name(one.name) == "flwr"), None),
            dynamic_dependencies=requirements is None,
            requires_python=self._requires_python(),
            flwr_place=self._at(r"\[project\]", r"dependencies\s*=", r".*[\"']flwr\b(?!-)"),
            python_place=self._where("project", "requires-python"),
            serverapp_place=self._where("tool.flwr.app.components", "serverapp"),
            clientapp_place=self._where("tool.flwr.app.components", "clientapp"),
        )

    def _table(self, name: str) -> Mapping[str, object] | None:
        table = self._data
        for key in name.split("."):
            value = table.get(key)
            if value is None:
                return None
            if not isinstance(value, Mapping):
                where = self._at(rf"\[?\s*\"?{re.escape(key)}\"?\s*[=.\]]")
                raise AppError(f"{key} of [{name}]: wanted a table, found {_found(value)}", where=where)
            table = value
        return table

    def _where(self, table: str, key: str = "") -> str:
        patterns = [rf"\[{re.escape(table)}[\].]"] + ([rf"\"?{re.escape(key)}\"?\s*="] if key else [])
        return self._at(*patterns)

    def _at(self, *patterns: str) -> str:
        line = line_of(self._text, *patterns)
        return f"{self._file}:{line or 1}"

    def _text_of(self, table: str, key: str, hint: str | None = None) -> str:
        value = (self._table(table) or {}).get(key)
        if value is None:
            raise AppError(f'[{table}] has no "{key}"', where=self._where(table), hint=hint)
        if not isinstance(value, str) or not value:
            raise AppError(f"[{table}] {key}: wanted text, found {_found(value)}", where=self._where(table, key))
        return value

    def _check_project(self) -> None:
        """Refuse an app without [project], which Flower itself refuses when it packs the app."""
        if self._table("project") is not None:
            return
        poetry = self._table("tool.poetry") is not None
        raise AppError(
            "there is no [project]" + (", only [tool.poetry]" if poetry else ""),
            where=self._where("tool.poetry") if poetry else f"{self._file}:1",
            hint="Flower itself reads the app's name and version from [project]."
            + (" Poetry 2 reads them there too: write them there." if poetry else ""),
        )

    def _metadata(self, key: str) -> str:
        return self._text_of("project", key, f"Flower itself reads it there; a dynamic {key} does not do.")

    def _component(self, kind: str) -> str:
        table = "tool.flwr.app.components"
        components = self._table(table)
        if components is None:
            raise AppError(
                f"there is no [{table}]", where=self._where("tool.flwr.app"), hint=f"It names {kind} and so on."
            )
        hint = f'For example {kind} = "package.{kind.removesuffix("app")}_app:app".'
        if "agentapp" in components and kind not in components:
            hint = "It has an AgentApp; Flowerbed runs apps with a ServerApp and a ClientApp."
        reference = self._text_of(table, kind, hint)
        if not _REFERENCE.fullmatch(reference):
            message = f'[{table}] {kind}: "{reference}" is not of the form package.module:object'
            raise AppError(message, where=self._where(table, kind))
        return reference

    def _config(self) -> dict[str, ConfigValue]:
        table = "tool.flwr.app.config"
        try:
            return run_config.flatten(self._table(table) or {})
        except NotAConfigValueError as error:
            raise AppError(f"[{table}] {error}", where=self._where(table, error.key.rpartition(".")[2])) from None

    def _requirements(self) -> tuple[Requirement, ...] | None:
        project = self._table("project") or {}
        poetry = self._table("tool.poetry") or {}
        dynamic = project.get("dynamic", [])
        if isinstance(dynamic, list) and "dependencies" in dynamic:
            return None
        if "dependencies" not in project and "dependencies" in poetry:
            return None
        listed = project.get("dependencies", [])
        if not isinstance(listed, list):
            message = f"[project] dependencies: wanted a list, found {_found(listed)}"
            raise AppError(message, where=self._where("project", "dependencies"))
        return tuple(self._requirement(one) for one in listed)

    def _requirement(self, text: object) -> Requirement:
        if not isinstance(text, str):
            message = f"[project] dependencies: wanted text, found {_found(text)}"
            raise AppError(message, where=self._where("project", "dependencies"))
        try:
            return Requirement(text)
        except InvalidRequirement as error:
            reason = str(error).splitlines()[0]
            where = self._at(r"\[project\]", r"dependencies\s*=", rf".*{re.escape(text)}")
            message = f'[project] dependencies: "{text}" is not a requirement: {reason}'
            raise AppError(message, where=where) from None

    def _requires_python(self) -> SpecifierSet | None:
        if "requires-python" not in (self._table("project") or {}):
            return None
        text = self._text_of("project", "requires-python")
        try:
            return SpecifierSet(text)
        except InvalidSpecifier:
            message = f'[project] requires-python: "{text}" is not a set of releases'
            raise AppError(
                message, where=self._where("project", "requires-python"), hint='For example ">=3.11".'
            ) from None


def _found(value: object) -> str:
    return "a table" if isinstance(value, Mapping) else found(value)
