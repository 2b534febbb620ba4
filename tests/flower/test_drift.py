"""Each release itself is asked whether what we say about it is so."""

from __future__ import annotations

import ast
import json
import re
import subprocess
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import pytest
from proxied import methods

from environments import environment_python, flower_process_environment
from flowerbed.flower import apis, private_api
from flowerbed.flower.apis import Api
from flowerbed.flower.contract import UNPROTECTED, Program, Protection
from flowerbed.flower.releases import Row
from flowerbed.flower.values import Value
from flowerbed.kubernetes.manifests.nginx import NAMES
from flowerbed.runs.events import Waiting
from flowerbed.runs.lines import LineParser
from flowerbed_inside import bundles
from flowerbed_inside.control.api import HTTP_PATHS
from flowerbed_inside.unit import wedge

PROGRAMS = ("flower-superlink", "flower-supernode", "flower-superexec")

pytestmark = pytest.mark.timeout(600)  # the first run on a machine installs Flower


@dataclass(frozen=True)
class Option:
    """An option as a program's ``--help`` describes it."""

    takes_value: bool
    choices: frozenset[str]


Options = dict[str, Option]


@dataclass(frozen=True)
class Installed:
    """A release that is installed, and a home for its programs."""

    python: Path
    home: Path

    def run(self, program: str, *arguments: str) -> str:
        """Return what a program of the environment prints."""
        done = subprocess.run(
            [self.python.with_name(program), *arguments],
            env=flower_process_environment(self.home),
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @cached_property
    def options(self) -> dict[str, Options]:
        """The options of each program."""
        return {program: parse_help(self.run(program, "--help")) for program in PROGRAMS}


@pytest.fixture(scope="module")
def installed(row: Row, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(environment_python(str(row.release)), tmp_path_factory.mktemp(f"home-{row.minor}"))


def test_every_flag_exists_in_the_release(row: Row, installed: Installed) -> None:
    options = installed.options
    for program in programs(row):
        assert problems(program, options[program.executable]) == []


@pytest.mark.parametrize(
    ("module", "function"),
    [("serverapp/strategy/strategy_utils.py", "sample_nodes"), ("server/client_manager.py", "sample")],
)
def test_what_a_strategy_says_while_it_waits_is_read(
    row: Row, installed: Installed, module: str, function: str
) -> None:
    """Today's strategies say it each second; a legacy one says that sampling failed, and nothing while it waits."""
    (path,) = (installed.python.parents[1] / "lib").glob(f"python*/site-packages/flwr/{module}")
    bodies = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name in (function, "wait_for")
    ]
    logged = [
        call.args[1].value
        for body in bodies
        for call in ast.walk(body)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "log"
        if isinstance(call.args[1], ast.Constant) and isinstance(call.args[1].value, str)
    ]
    read = [event for text in logged for event in LineParser().feed(f"INFO :      {text % (1, 2)}\n", 0.0)]
    assert read == [Waiting(0.0, 1, 2)], logged


def test_every_misspelt_flag_is_caught(row: Row, installed: Installed) -> None:
    options = installed.options
    for program in programs(row):
        flags = [value for value in program.arguments if isinstance(value, str) and value.startswith("--")]
        assert flags
        for flag in flags:
            misspelt = f"{flag}s"
            arguments = tuple(misspelt if argument == flag else argument for argument in program.arguments)
            found = problems(replace(program, arguments=arguments), options[program.executable])
            assert found == [f"{program.executable} has no {misspelt}"]


def test_a_wrong_choice_and_a_wrong_number_of_values_are_caught(row: Row, installed: Installed) -> None:
    options = installed.options["flower-superlink"]
    wrong = Program("flower-superlink", ("--isolation", "proces", "--insecure", "yes", "--database"))
    assert problems(wrong, options) == [
        "flower-superlink --isolation takes process or subprocess, not proces",
        "flower-superlink --insecure takes 0 values, not 1",
        "flower-superlink --database takes 1 values, not 0",
    ]


def test_every_private_function_exists_in_the_release(row: Row, installed: Installed) -> None:
    names = private_api.used_in(row.release)
    assert names
    assert missing(installed, names) == []


def test_a_private_function_that_moved_is_caught(row: Row, installed: Installed) -> None:
    moved = ["flwr.cli.build:build_a_fab", "flwr.cli.built:build_fab"]
    assert missing(installed, moved) == moved


def test_the_control_api_is_where_we_look_for_it(row: Row, installed: Installed) -> None:
    if row.contract.dialect != "http":
        pytest.skip("over gRPC, the methods' paths come from the release itself")
    script = (
        "from flwr.superlink.routers.control.router import router; "
        "print(*[route.path for route in router.routes if 'POST' in route.methods])"
    )
    offered = installed.run("python", "-c", script).split()
    assert set(HTTP_PATHS.values()) <= set(offered)


OTHER_PATHS = re.compile(r"/health|/flwr\.proto\.(GrpcAdapter|FlowerService|ClientAppIo|SimulationIo)/\w+")
"""What no API of ours is: asked by nobody in a federation of ours, and passed on by no door."""


def test_every_path_belongs_to_the_api_that_we_say(row: Row, installed: Installed) -> None:
    every = methods(installed.python, installed.home)
    for api in Api:
        prefix = apis.prefix(row, api)
        mine = [path for path in every if path.startswith(prefix)]
        assert mine
        assert all(re.fullmatch(NAMES[apis.port(row, api).protocol], path.removeprefix(prefix)) for path in mine)
    others = [path for path in every if not path.startswith(tuple(apis.prefix(row, api) for api in Api))]
    # Releases that speak HTTP still describe some services of gRPC; 1.34 to 1.36 have Control both ways.
    twice = re.compile(r"/v1/control/[a-z-]+|/flwr\.proto\.(Control|Fleet|Runtime)/\w+")
    assert [path for path in others if not OTHER_PATHS.fullmatch(path) and not twice.fullmatch(path)] == []
    assert any(path.startswith("/v1/control/") for path in others) == (34 <= row.minor.minor <= 36)


def test_programs_still_say_that_who_they_dial_is_away(installed: Installed) -> None:
    package = Path(installed.run("python", "-c", "import flwr; print(flwr.__path__[0])").strip())
    sources = [path.read_text(encoding="utf-8") for path in package.rglob("*retry*.py")]
    retrying = [text for text in sources if wedge.AWAY.search(text)]
    assert retrying
    ends = {"Connection successful after", "Giving up reconnection"}
    assert all(set(wedge.BACK.findall(text)) == ends for text in retrying)


def test_the_supernode_still_says_what_we_listen_for(row: Row, installed: Installed) -> None:
    marks = row.contract.work_marks
    where = "import flwr.supernode.start_client_internal as module; print(module.__file__)"
    source = Path(installed.run("python", "-c", where).strip()).read_text(encoding="utf-8")
    said = [
        node.value.replace("%s", "x")
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" not in node.value
    ]
    taken = [line for line in said if re.search(marks.taken, line)]
    replied = [line for line in said if re.search(marks.replied, line)]
    assert len(taken) == 1
    assert "Sent successfully" in replied
    assert not set(taken) & set(replied)
    lost = [line for line in said if re.search(marks.lost, line)]
    assert lost == [line for line in replied if line.startswith("Failed to")]
    # Whatever else it says of a message or of a run's end is something that we know of.
    endings = [line for line in said if re.match(r"Failed to \w+ (message|task)|.*Ignoring", line)]
    assert set(endings) <= set(replied)


PRAGMA = """\
import sys
folder, database, release = sys.argv[1:]
sys.path.append(folder)
from flowerbed_inside.launch.superlink import wait_longer_for_sqlite
wait_longer_for_sqlite()
if release == "1.22":  # keeps its objects in memory
    from flwr.server.superlink.linkstate import LinkStateFactory
    store = LinkStateFactory(database).state()
else:
    from flwr.supercore.object_store import ObjectStoreFactory
    store = ObjectStoreFactory(database).store()
[answer] = store.query("PRAGMA busy_timeout")
print(*answer.values())
"""


def test_a_superlink_waits_as_long_for_its_database_as_it_was_told(row: Row, installed: Installed) -> None:
    database = installed.home / "state.db"
    said = installed.run("python", "-c", PRAGMA, str(bundles.PACKAGE.parent), str(database), str(row.minor))
    assert said.split()[-1] == "25000"


def test_the_environment_has_exactly_the_release(row: Row, installed: Installed) -> None:
    version = "from importlib.metadata import version; print(version('flwr'))"
    assert installed.run("python", "-c", version).strip() == str(row.release)


def test_nothing_private_is_imported_unsaid() -> None:
    assert private_api.undeclared_imports() == []


def test_help_is_read_as_argparse_writes_it() -> None:
    text = """\
usage: flower-x [-h] [--insecure]

Run `--not-this` or --that.

options:
  -h, --help            show this help message and exit
  --insecure            Run without TLS. Mutually exclusive with
                        --elsewhere.
  --isolation {subprocess,process}
                        How apps are run.
  --fleet-api-address ADDRESS, --fleet ADDRESS
                        Where.
  --port PORT           A number
"""
    assert parse_help(text) == {
        "-h": Option(takes_value=False, choices=frozenset()),
        "--help": Option(takes_value=False, choices=frozenset()),
        "--insecure": Option(takes_value=False, choices=frozenset()),
        "--isolation": Option(takes_value=True, choices=frozenset({"subprocess", "process"})),
        "--fleet-api-address": Option(takes_value=True, choices=frozenset()),
        "--fleet": Option(takes_value=True, choices=frozenset()),
        "--port": Option(takes_value=True, choices=frozenset()),
    }


def parse_help(text: str) -> Options:
    """Return the options in what ``--help`` prints; flags that prose mentions are none."""
    options: Options = {}
    for line in text.splitlines():
        if not line.startswith("  -"):
            continue
        described = re.split(r"\s{2,}", line.strip())[0]  # what follows two blanks is its explanation
        spellings = [spelling.partition(" ") for spelling in described.split(", ")]
        metavar = spellings[-1][2]
        choices = frozenset(metavar.strip("{}").split(",")) if metavar.startswith("{") else frozenset()
        for flag, _, _ in spellings:
            options[flag] = Option(bool(metavar), choices)
    return options


def problems(program: Program, options: Options) -> list[str]:
    """Return what a program would not take of its arguments."""
    groups: list[tuple[str, list[Value]]] = []
    for argument in program.arguments:
        if isinstance(argument, str) and argument.startswith("--"):
            groups.append((argument, []))
        else:
            groups[-1][1].append(argument)
    found = []
    for flag, values in groups:
        option = options.get(flag)
        if option is None:
            found.append(f"{program.executable} has no {flag}")
        elif len(values) != int(option.takes_value):
            found.append(f"{program.executable} {flag} takes {int(option.takes_value)} values, not {len(values)}")
        elif option.choices and values[0] not in option.choices:
            choices = " or ".join(sorted(option.choices))
            found.append(f"{program.executable} {flag} takes {choices}, not {values[0]}")
    return found


def missing(installed: Installed, names: list[str]) -> list[str]:
    """Return which ``module:attribute`` names the release does not have."""
    script = """
import importlib, json, operator, sys
def there(name):
    module, _, attribute = name.partition(":")
    try:
        return bool(operator.attrgetter(attribute)(importlib.import_module(module)))
    except (ImportError, AttributeError):
        return False
print(json.dumps([name for name in json.loads(sys.argv[1]) if not there(name)]))
"""
    lines = installed.run("python", "-c", script, json.dumps(names)).splitlines()
    result: list[str] = json.loads(lines[-1])
    return result


def programs(row: Row) -> list[Program]:
    return [
        program
        for protection in (UNPROTECTED, Protection(tls=True, node_auth=True))
        for program in (
            row.contract.superlink(row.minor, protection),
            row.contract.supernode(row.minor, protection, superlink="superlink", node_config="partition-id=0"),
            row.contract.serverapp_superexec(row.minor, protection, superlink="superlink"),
            row.contract.clientapp_superexec(row.minor, protection, supernode="hospital-0"),
        )
    ]
