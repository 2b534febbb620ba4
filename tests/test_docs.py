"""The documents are held to the code: what they show can be typed, what they list is all there is."""

from __future__ import annotations

import ast
import doctest
import importlib
import re
import shlex
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
import yaml
from cyclopts import App, CycloptsError, MissingArgumentError
from pydantic import BaseModel

import flowerbed
from flowerbed import cli
from flowerbed.cli.env import _row as environment_row
from flowerbed.environments.pruning import Listed
from flowerbed.errors import SpecError
from flowerbed.flower.releases import DEFAULT, RELEASES
from flowerbed.kubernetes import observing, permissions, waiting
from flowerbed.kubernetes.audit.checks import CHECKS
from flowerbed.kubernetes.audit.lived import LIVED_CHECKS
from flowerbed.kubernetes.manifests import pod, run_job
from flowerbed.kubernetes.manifests.objects import objects
from flowerbed.local import backoff as again
from flowerbed.local import logs, unit
from flowerbed.local.doctor_machine import Check
from flowerbed.local.layout import StateFolder
from flowerbed.runs.lines import LineParser
from flowerbed.runs.names import PREFIX
from flowerbed.runs.progress import Progress, advance
from flowerbed.runs.records import Exchange, Round, RunRecord, Verdict
from flowerbed.runs.runtime import ComponentStatus, Event, FederationStatus
from flowerbed.runs.verdict import Observation, judge
from flowerbed.spec import values
from flowerbed.spec.load import parse
from flowerbed.spec.lock import read_lock
from flowerbed.spec.model import Federation
from flowerbed.spec.section import Borrowed
from flowerbed.trust.seen import Certificate, Node
from flowerbed_inside.levers import announcing, backoff, holding, lever, pace
from flowerbed_inside.unit import wedge
from releases.taken import FORK, offered

ROOT = Path(__file__).parents[1]
PACKAGE = Path(flowerbed.__file__).parent
README, FILE, RUNS, LOCAL, CLUSTER = (
    ROOT / name
    for name in ("README.md", "docs/federation-file.md", "docs/runs.md", "docs/local-runtime.md", "docs/kubernetes.md")
)
AUDIT = ROOT / "docs/audit.md"
FAST = ROOT / "docs/fast-path.md"
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("changelog/*.md"), ROOT / "tests/apps/README.md"]
)
TEMPLATES = sorted(PACKAGE.glob("templates/*/README.md"))
SOURCES = sorted(PACKAGE.rglob("*.py"))

_FENCE = re.compile(r"^```(?P<language>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def blocks(path: Path, language: str) -> list[str]:
    """Return the code blocks of a document in one language, such as ``yaml invalid``."""
    return [found["text"] for found in _FENCE.finditer(read(path)) if found["language"] == language]


def prose(path: Path) -> str:
    """Return a document without its code blocks."""
    return _FENCE.sub("", read(path))


def table(path: Path, heading: str) -> list[list[str]]:
    """Return the rows below the tables whose head begins so."""
    found = [part.splitlines() for part in read(path).split("\n\n") if part.startswith(f"| {heading}")]
    assert found, heading
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for lines in found for line in lines[2:]]


def words(cell: str) -> list[str]:
    """Return what a cell has in backticks."""
    return re.findall(r"`([^`]+)`", cell)


# Commands.


def shown(path: Path) -> list[str]:
    """Return the command lines that a document shows to be typed."""
    lines = [line for block in blocks(path, "console") for line in block.splitlines()]
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]


def named(path: Path) -> list[str]:
    """Return the commands that are named within a sentence, perhaps without their arguments."""
    text = prose(path) if path.suffix == ".md" else read(path)
    return re.findall(r"(?<!`)`((?:flowerbed|make) [^`\n]+)`", text)


def arguments(line: str) -> list[str]:
    """Return a command line's words, up to what only the shell reads."""
    tokens = shlex.split(line, comments=True)
    return next((tokens[:at] for at, token in enumerate(tokens) if token in (">", "|", "&&", ";")), tokens)


def complaint(line: str, *, in_passing: bool = False) -> str:
    """Return what is wrong with a command line; nothing is run. One in passing may leave arguments out."""
    program, *rest = arguments(line)
    if program == "make":
        targets = set(re.findall(r"^([a-z-]+):", read(ROOT / "Makefile"), re.MULTILINE))
        return "" if rest[0] in targets else "no such target"
    if program == "flowerbed":
        try:
            cli.app().parse_args(rest, exit_on_error=False, print_error=False)
        except CycloptsError as error:
            return "" if in_passing and isinstance(error, MissingArgumentError) else str(error).strip()
    return ""


@pytest.mark.parametrize("path", [*DOCUMENTS, *TEMPLATES], ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_shown_can_be_typed(path: Path) -> None:
    wrong = {line: said for line in shown(path) if (said := complaint(line))}
    wrong |= {line: said for line in named(path) if (said := complaint(line, in_passing=True))}
    assert wrong == {}


def test_a_command_that_cannot_be_typed_is_caught() -> None:
    assert "Unknown option" in complaint("flowerbed run --run-confg a=1")
    assert "Unknown command" in complaint("flowerbed start", in_passing=True)
    assert "requires an argument" in complaint("flowerbed stop")
    assert complaint("make tests") == "no such target"
    assert len(shown(README)) > 15
    assert arguments("flowerbed schema > x.json  # for editors") == ["flowerbed", "schema"]


def test_every_command_that_our_messages_name_exists() -> None:
    lines = {f"{path.name}: {line}": complaint(line, in_passing=True) for path in SOURCES for line in named(path)}
    assert len(lines) > 20
    assert {line: said for line, said in lines.items() if said} == {}


def test_every_command_is_in_the_readme() -> None:
    typed = [arguments(line) for line in shown(README)]
    known = [(name,) for name in cli.COMMANDS if name != "demo"] + [("env", name) for name in cli.ENVIRONMENT_COMMANDS]
    assert [name for name in known if not any(line[1 : len(name) + 1] == [*name] for line in typed)] == []


def test_every_flag_named_in_passing_is_one() -> None:
    door = cli.app()
    commands: list[App] = [door[name] for name in cli.COMMANDS]
    commands += [door["env"][name] for name in cli.ENVIRONMENT_COMMANDS]
    known = {
        name for command in commands for argument in command.assemble_argument_collection() for name in argument.names
    }
    named = {
        flag for path in (README, FILE, RUNS, LOCAL, CLUSTER) for flag in re.findall(r"`(--[a-z-]+)`", prose(path))
    }
    assert len(named) > 5
    assert named - known - {"--help"} == set()


# Links.


def anchors(path: Path) -> set[str]:
    """Return the anchors that GitHub makes of a document's headings."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", read(path)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(path: Path) -> None:
    broken = []
    for found in _LINK.finditer(prose(path)):
        place, _, anchor = found["target"].partition("#")
        if "://" in place:
            continue
        target = (path.parent / place).resolve() if place else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(found["target"])
    assert broken == []


# The federation file.


def written(default: object) -> str:
    """Return a default as it would stand in a file."""
    if isinstance(default, tuple):
        return f"`[{', '.join(map(str, default))}]`"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def leaves(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield each field that is not a section of others, as (path, default as the documents write it).

    What is Kubernetes' own down to the last key is one field: its keys stand in Kubernetes' reference.
    """
    for name, info in model.model_fields.items():
        path = f"{prefix}{info.alias or name}"
        default = "required" if info.is_required() else "–" if (value := info.get_default()) is None else written(value)
        default = "`{}`" if not info.is_required() and info.default_factory is dict else default
        children = [part for part in (info.annotation, *get_args(info.annotation)) if isinstance(part, type)]
        child = next(
            (part for part in children if issubclass(part, BaseModel) and not issubclass(part, Borrowed)), None
        )
        if child is None or get_origin(info.annotation) is tuple:
            yield path, default
        if child is not None:
            yield from leaves(child, f"{path}[]." if get_origin(info.annotation) is tuple else f"{path}.")


def test_every_field_and_its_default_is_documented_and_no_other() -> None:
    documented = {path: row[2] for row in table(FILE, "Field |") for path in words(row[0])}
    assert documented == dict(leaves(Federation))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_federation_shown_can_be_read(path: Path) -> None:
    for text in blocks(path, "yaml"):
        assert parse(text, "federation.yaml").federation.spec.supernodes


def test_wrong_files_get_the_very_errors_that_are_shown() -> None:
    shown = re.findall(r"^```yaml invalid\n(.*?)^```\n.*?^```text\n(.*?)^```", read(FILE), re.MULTILINE | re.DOTALL)
    assert len(shown) == len(blocks(FILE, "yaml invalid")) == 2
    for text, errors in shown:
        with pytest.raises(SpecError) as caught:
            parse(text, "federation.yaml")
        assert str(caught.value) == errors.strip()
    for line in re.findall(r"^federation\.yaml:.*$", read(README), re.MULTILINE):
        assert line in read(FILE)


def test_the_lock_shown_is_one() -> None:
    (text,) = blocks(FILE, "toml")
    assert read_lock(text, "federation.lock").render() == text


def test_the_superlinks_ports_are_those_of_the_contracts() -> None:
    said: list[tuple[str, set[str]]] = []
    for releases, ports in table(FILE, "Flower |"):
        first, last = (int(number) for number in re.findall(r"1\.(\d+)", releases))
        said += [(f"1.{number}", set(words(ports))) for number in range(first, last + 1)]
    known = [(str(row.minor), row.contract.superlink(row.minor).ports) for row in RELEASES]
    assert said == [(minor, {port.name for port in ports}) for minor, ports in known]


# Runs.


@pytest.mark.parametrize("path", [README, RUNS], ids=lambda path: path.name)
def test_the_exit_codes_are_those_of_the_verdicts(path: Path) -> None:
    said = {}
    for verdict, codes, _ in table(path, "Verdict | Exit code"):
        plain, *strict = (int(code) for code in re.findall(r"\d+", codes))
        said[words(verdict)[0]] = (plain, strict[0] if strict else plain)
    assert said == {verdict.value: (verdict.exit_code(), verdict.exit_code(strict=True)) for verdict in Verdict}


def test_the_lines_to_print_are_judged_as_promised() -> None:
    (text,) = blocks(RUNS, "text log")

    def verdict(log: str) -> Verdict:
        progress = Progress()
        for event in LineParser().feed(log, 0.0):
            progress = advance(progress, event)
        return judge(Observation("completed", progress=progress)).verdict

    assert verdict(text) is Verdict.SUCCEEDED
    assert verdict(text.replace("2 results and 0", "1 results and 1")) is Verdict.DEGRADED
    assert verdict("") is Verdict.UNVERIFIED


def names_of(kind: str, value: ast.expr) -> set[str]:
    """Return the fields of a JSON line from the call that writes it."""
    if isinstance(value, ast.Dict):
        return {str(ast.literal_eval(key)) for key in value.keys if key is not None}
    known: dict[str, Any] = {
        "event": Event,
        "round": Round,
        "run": RunRecord,
        "status": FederationStatus,
        "check": Check,
        "certificate": Certificate,
        "node": Node,
        "environment": environment_row(Listed(Path(), None, 0, 0.0, in_use=False)),
    }
    written = known[kind]
    return {field.name for field in fields(written)} if is_dataclass(written) else set(written)


def test_every_json_line_and_its_fields_are_documented() -> None:
    written: dict[str, set[str]] = {}
    for path in sorted((PACKAGE / "cli").glob("*.py")):
        for node in ast.walk(ast.parse(read(path))):
            match node:
                case ast.Call(func=ast.Attribute(attr="data"), args=[ast.Constant(value=str() as kind), value]):
                    if kind not in written or isinstance(value, ast.Dict):
                        written[kind] = names_of(kind, value)
    said = {words(kind)[0]: set(words(names)) for kind, _, names in table(RUNS, "`type` |")}
    assert said == written
    for inner in (Exchange, ComponentStatus):
        assert {field.name for field in fields(inner)} <= set(words(prose(RUNS)))


def test_every_kind_of_event_is_documented() -> None:
    reported = set()
    for path in sorted((PACKAGE / "local").glob("*.py")):
        for node in ast.walk(ast.parse(read(path))):
            match node:
                case ast.Call(func=ast.Attribute(attr="report" | "_report"), args=[ast.Constant(value=kind), *_]):
                    reported.add(kind)
    assert {words(kind)[0] for kind, _ in table(RUNS, "`kind` |")} == reported


# The fast path.


def test_every_lever_that_is_taken_is_documented() -> None:
    documented = {words(row[0])[0] for row in table(FAST, "Lever |")}
    assert offered() | {FORK} <= documented <= set(lever.NAMES)


# The Kubernetes runtime.


def test_the_checks_of_the_audit_are_listed() -> None:
    listed = [(words(name)[0], severity, title) for name, severity, title in table(AUDIT, "Check |")]
    assert listed == [(check.id, check.severity.value, check.title) for check in CHECKS]
    living = [(words(name)[0], severity, title) for name, severity, title in table(AUDIT, "Living check |")]
    assert living == [(check.id, check.severity.value, check.title) for check in LIVED_CHECKS]


@pytest.mark.parametrize(
    ("language", "name", "rules"),
    [
        ("yaml role", "flowerbed", permissions.RULES),
        ("yaml role runs", "flowerbed-runs", permissions.RUN_RULES),
    ],
)
def test_the_roles_shown_are_those_that_are_needed(
    language: str, name: str, rules: tuple[permissions.Rule, ...]
) -> None:
    (text,) = blocks(CLUSTER, language)
    assert yaml.safe_load(text) == permissions.only_role(name, "research", rules)


def test_the_objects_listed_are_those_that_are_made() -> None:
    (text,) = blocks(CLUSTER, "yaml")
    federation = parse(text, "federation.yaml").federation
    name, pools = federation.metadata.name, {pool.name for pool in federation.spec.supernodes}
    made = {f"{item['kind']}/{item['metadata']['name']}" for item in objects(federation, DEFAULT)}
    said = [(words(row[0])[0].replace("NAME", name), words(row[1])) for row in table(CLUSTER, "Object |")]
    listed = {found.replace("POOL", pool) for found, by in said if by == ["up"] for pool in pools}
    assert listed == made - {f"Namespace/{federation.metadata.namespace}"}


def sentences() -> list[str]:
    """Return patterns of all that may be said of a cluster; what is filled in is left open."""
    found = []
    for path in (*PACKAGE.rglob("kubernetes/**/*.py"), PACKAGE / "runs" / "changes.py"):
        for node in ast.walk(ast.parse(read(path))):
            match node:
                case ast.JoinedStr(values=parts):
                    texts = [part.value if isinstance(part, ast.Constant) else None for part in parts]
                case ast.Constant(value=str() as text):
                    texts = [text]
                case _:
                    continue
            if sum(len(str(text or "")) for text in texts) >= 12:
                found.append("".join(".*" if text is None else re.escape(str(text)) for text in texts))
    return found


def test_every_reason_listed_is_said() -> None:
    known = re.compile("|".join(f"(?:{pattern})" for pattern in sentences()), re.DOTALL)
    listed = [phrase for row in table(CLUSTER, "It says |") for phrase in words(row[0])]
    assert len(listed) > 20
    assert [phrase for phrase in listed if not known.match(phrase)] == []


# Facts that stand in sentences.

FACTS = [
    (README, f"{RELEASES[0].minor} to {DEFAULT.minor}"),
    (README, f"Flower {DEFAULT.release}"),
    (README, f"the default runs on {', '.join(DEFAULT.pythons[:-1])} and {DEFAULT.pythons[-1]}"),
    (FILE, f"at most {values.NAME_LENGTH} characters"),
    (FILE, f"1 to {values.MOST_REPLICAS}"),
    (RUNS, f"first {['one', 'two', 'three', 'four', 'five', 'six'][PREFIX - 1]} or more digits"),
    (LOCAL, f"no ClientApp process for {wedge.WEDGED_AFTER_SECONDS:g} seconds"),
    (
        LOCAL,
        f"at most after {again.LONGEST_SECONDS:g} seconds. A unit that ran for {again.SETTLED_SECONDS:g} seconds",
    ),
    (LOCAL, f"The {['first', 'second', 'third'][again.LOOP_AFTER - 1]} end in a row"),
    (LOCAL, f"give it {unit.GRACE_SECONDS:g} seconds"),
    (FAST, f"of {observing.TELLING_PODS} Pods at most"),
    (FAST, f"the answer waits for news, for {holding.SECONDS:g} s at most"),
    (FAST, f"After {backoff.FIRST_SECONDS:g} s, {2 * backoff.FIRST_SECONDS:g} s, {4 * backoff.FIRST_SECONDS:g} s"),
    (FAST, f"when the parts are there, or {announcing.SECONDS:g} s later"),
    (FAST, f"{'ten' if pace.QUICK_POLLS == 10 else pace.QUICK_POLLS} quick polls are followed by pauses"),
    (CLUSTER, f"no ClientApp process for {wedge.WEDGED_AFTER_SECONDS:g} seconds"),
    (CLUSTER, f"ends it after {waiting.FATAL_SECONDS:g} seconds"),
    (CLUSTER, f"nothing new for {waiting.STALLED_SECONDS:g} seconds"),
    (CLUSTER, f"Its port {pod.HEALTH_PORT} answers"),
    (CLUSTER, f"user and group {pod.USER}"),
    (CLUSTER, f"the app in the image's folder `{run_job.BAKED}`"),
    (CLUSTER, "asks for {cpu} and {memory}".format(**run_job.RESOURCES["requests"])),
    (LOCAL, f"above {logs.TRIM_ABOVE_BYTES // 2**20} MiB is cut to its last {logs.KEEP_BYTES // 2**20} MiB"),
]


@pytest.mark.parametrize(("path", "fact"), FACTS, ids=[fact for _, fact in FACTS])
def test_a_fact_in_a_sentence_is_so(path: Path, fact: str) -> None:
    assert fact in " ".join(read(path).split())


def test_the_state_folder_is_drawn_as_it_is() -> None:
    folder = StateFolder(Path("/state"))
    paths = [folder.database, folder.plan, folder.lock, folder.logs, folder.staging, folder.results]
    paths += [folder.trust.root, folder.admitted("site-0")]
    paths += [folder.run(1), folder.data("superlink", "1.42"), folder.home("superlink")]
    drawn = {words(name)[0].rstrip("/") for name, _ in table(LOCAL, "In `.flowerbed/`")}
    assert {path.relative_to(folder.root).parts[0] for path in paths} - drawn == set()


def test_every_environment_variable_of_ours_is_one() -> None:
    texts = [*SOURCES, *ROOT.glob("tests/cluster/*.py")]
    known = {name for path in texts for name in re.findall(r"FLOWERBED_[A-Z_]+", read(path))}
    named = {name for path in DOCUMENTS for name in re.findall(r"FLOWERBED_[A-Z_]+(?![A-Z_…])", read(path))}
    assert len(named) > 2
    assert named - known == set()


# The changelog.


def test_changelog_fragments_are_named_as_agreed() -> None:
    kinds = "|".join(words(row[0])[0] for row in table(ROOT / "changelog/README.md", "Kind |"))
    fragments = [path for path in (ROOT / "changelog").iterdir() if path.name != "README.md"]
    assert [path.name for path in fragments if not re.fullmatch(rf"\d+\.({kinds})(\.\d+)?\.md", path.name)] == []
    assert all(read(path).strip() for path in fragments)


EXAMPLES = [path for path in [*SOURCES, *(ROOT / "tests").rglob("*.py")] if "\n    >>> " in path.read_text("utf-8")]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_of_docstrings_give_what_they_say(path: Path) -> None:
    root = PACKAGE.parent if path.is_relative_to(PACKAGE) else ROOT / "tests"
    module = importlib.import_module(".".join(path.relative_to(root).with_suffix("").parts))
    failed, tried = doctest.testmod(module)
    assert (failed, tried > 0) == (0, True)
