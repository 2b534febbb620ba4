"""Every command line of every family, written out in full: the test is the documentation.

``<runtime>`` is the program's own address, ``<host>`` and ``<port api>`` its parts, ``superlink<fleet>`` another
component's address, ``data/`` and ``home/`` its folders.
"""

from __future__ import annotations

import re
import shlex

import pytest

from flowerbed.flower.contract import UNPROTECTED, Port, Program, Protection
from flowerbed.flower.releases import RELEASES, Row, find
from flowerbed.flower.values import (
    Address,
    DataFile,
    HomeFolder,
    Listen,
    ListenHost,
    ListenPort,
    ResultsFolder,
    ScratchFolder,
    Trusted,
    TrustFile,
    Value,
)

# fmt: off
V1_22 = """
flower-superlink --insecure --isolation process --serverappio-api-address '<runtime>' --fleet-api-address '<fleet>' --control-api-address '<control>' --database data/state.db --storage-dir data/fabs
flower-supernode --insecure --isolation process --superlink 'superlink<fleet>' --clientappio-api-address '<runtime>' --node-config 'partition-id=0 num-partitions=2'
flower-superexec --insecure --plugin-type serverapp --appio-api-address 'superlink<runtime>'
flower-superexec --insecure --plugin-type clientapp --appio-api-address 'hospital-0<runtime>'
"""  # noqa: E501

V1_29 = """
flower-superlink --insecure --isolation process --serverappio-api-address '<runtime>' --fleet-api-address '<fleet>' --control-api-address '<control>' --database data/state.db
flower-supernode --insecure --isolation process --superlink 'superlink<fleet>' --clientappio-api-address '<runtime>' --node-config 'partition-id=0 num-partitions=2'
flower-superexec --insecure --plugin-type serverapp --appio-api-address 'superlink<runtime>'
flower-superexec --insecure --plugin-type clientapp --appio-api-address 'hospital-0<runtime>'
"""  # noqa: E501

V1_32 = """
flower-superlink --insecure --isolation process --disable-runtime-dependency-installation --serverappio-api-address '<runtime>' --fleet-api-address '<fleet>' --control-api-address '<control>' --database data/state.db
flower-supernode --insecure --isolation process --superlink 'superlink<fleet>' --clientappio-api-address '<runtime>' --node-config 'partition-id=0 num-partitions=2'
flower-superexec --insecure --plugin-type serverapp --appio-api-address 'superlink<runtime>'
flower-superexec --insecure --plugin-type clientapp --appio-api-address 'hospital-0<runtime>'
"""  # noqa: E501

V1_35 = """
flower-superlink --insecure --isolation process --disable-runtime-dependency-installation --host '<host>' --port '<port runtime>' --fleet-api-address '<fleet>' --control-api-address '<control>' --database data/state.db
flower-supernode --insecure --isolation process --superlink 'superlink<fleet>' --host '<host>' --port '<port runtime>' --node-config 'partition-id=0 num-partitions=2'
flower-superexec --insecure --plugin-type serverapp --appio-api-address 'superlink<runtime>'
flower-superexec --insecure --plugin-type clientapp --appio-api-address 'hospital-0<runtime>'
"""  # noqa: E501

V1_36 = """
flower-superlink --insecure --isolation process --disable-runtime-dependency-installation --host '<host>' --port '<port runtime>' --fleet-api-address '<fleet>' --control-api-address '<control>' --database data/state.db
flower-supernode --insecure --isolation process --superlink 'superlink<fleet>' --host '<host>' --port '<port runtime>' --node-config 'partition-id=0 num-partitions=2'
flower-superexec --insecure --plugin-type serverapp --runtime-api-address 'superlink<runtime>'
flower-superexec --insecure --plugin-type clientapp --runtime-api-address 'hospital-0<runtime>'
"""  # noqa: E501

V1_37 = """
flower-superlink --insecure --isolation process --disable-runtime-dependency-installation --host '<host>' --port '<port api>' --fleet-api-address '<fleet>' --database data/state.db
flower-supernode --insecure --isolation process --superlink 'superlink<fleet>' --host '<host>' --port '<port runtime>' --node-config 'partition-id=0 num-partitions=2'
flower-superexec --insecure --plugin-type serverapp --runtime-api-address 'superlink<api>'
flower-superexec --insecure --plugin-type clientapp --runtime-api-address 'hospital-0<runtime>'
"""  # noqa: E501

V1_38 = """
flower-superlink --insecure --isolation process --disable-runtime-dependency-installation --host '<host>' --port '<port api>' --fleet-api-address '<fleet>' --database data/state.db
flower-supernode --insecure --isolation process --superlink 'superlink<fleet>' --host '<host>' --port '<port runtime>' --node-config 'partition-id=0 num-partitions=2'
flower-superexec --insecure --runtime-api-address 'superlink<api>'
flower-superexec --insecure --runtime-api-address 'hospital-0<runtime>'
"""  # noqa: E501

V1_40 = """
flower-superlink --insecure --isolation process --disable-runtime-dependency-installation --host '<host>' --port '<port api>' --database data/state.db
flower-supernode --insecure --isolation process --superlink 'superlink<api>' --host '<host>' --port '<port runtime>' --node-config 'partition-id=0 num-partitions=2'
flower-superexec --insecure --runtime-api-address 'superlink<api>'
flower-superexec --insecure --runtime-api-address 'hospital-0<runtime>'
"""  # noqa: E501
# fmt: on

LINES_FROM = {22: V1_22, 29: V1_29, 32: V1_32, 35: V1_35, 36: V1_36, 37: V1_37, 38: V1_38, 40: V1_40}
"""From which minor release on each block holds."""

TRUST = {
    Trusted.AUTHORITY: "ca.crt",
    Trusted.SUPERLINK_CERTIFICATE: "superlink.crt",
    Trusted.SUPERLINK_KEY: "superlink.key",
    Trusted.LOOPBACK_AUTHORITY: "loopback-ca.crt",
    Trusted.LOOPBACK_CERTIFICATE: "loopback.crt",
    Trusted.LOOPBACK_KEY: "loopback.key",
    Trusted.SUPEREXEC_SECRET: "secret",
    Trusted.NODE_LIST: "nodes.csv",
    Trusted.NODE_KEY: "node",
    Trusted.NODE_PUBLIC_KEY: "node.pub",
}

PLAIN = "--insecure"
SUPERLINK_TLS = "--ssl-ca-certfile ca.crt --ssl-certfile superlink.crt --ssl-keyfile superlink.key"
SUPERLINK_RUNTIME_TLS = (
    "--appio-ssl-ca-certfile ca.crt --appio-ssl-certfile superlink.crt --appio-ssl-keyfile superlink.key"
)
SUPERNODE_APPIO_TLS = (
    "--appio-ssl-ca-certfile loopback-ca.crt --appio-ssl-certfile loopback.crt --appio-ssl-keyfile loopback.key"
)
SUPERNODE_TLS = "--ssl-ca-certfile loopback-ca.crt --ssl-certfile loopback.crt --ssl-keyfile loopback.key"
SECRET = "--superexec-auth-secret-file secret"
ROOT = "--root-certificates ca.crt"
LOOPBACK_ROOT = "--root-certificates loopback-ca.crt"
KEY = "--auth-supernode-private-key node"
REGISTERED = "--enable-supernode-auth"

PROTECTED_FROM = {
    22: (
        f"{SUPERLINK_TLS} --auth-list-public-keys nodes.csv",
        f"{ROOT} {KEY} --auth-supernode-public-key node.pub",
        PLAIN,
    ),
    23: (f"{SUPERLINK_TLS} {REGISTERED}", f"{ROOT} {KEY}", PLAIN),
    29: (f"{SUPERLINK_TLS} {SECRET} {REGISTERED}", f"{ROOT} {SECRET} {KEY}", f"{PLAIN} {SECRET}"),
    30: (
        f"{SUPERLINK_TLS} {SUPERLINK_RUNTIME_TLS} {SECRET} {REGISTERED}",
        f"{ROOT} {SUPERNODE_APPIO_TLS} {SECRET} {KEY}",
        f"{ROOT} {SECRET}",
    ),
    37: (f"{SUPERLINK_TLS} {SECRET} {REGISTERED}", f"{ROOT} {SUPERNODE_TLS} {SECRET} {KEY}", f"{ROOT} {SECRET}"),
}
"""What stands in place of ``--insecure`` for a SuperLink, a SuperNode and a SuperExec, with everything on."""

THREE_GRPC = (Port("runtime", 9091, "grpc"), Port("fleet", 9092, "grpc"), Port("control", 9093, "grpc"))
PORTS_FROM = {
    22: THREE_GRPC,
    35: (Port("runtime", 8000, "http"), Port("fleet", 9092, "grpc"), Port("control", 9093, "grpc")),
    37: (Port("api", 8000, "http"), Port("fleet", 9092, "grpc")),
    40: (Port("api", 8000, "http"),),
}

every_row = pytest.mark.parametrize("release", RELEASES, ids=lambda row: str(row.minor))


@every_row
def test_command_lines(release: Row) -> None:
    expected = LINES_FROM[max(first for first in LINES_FROM if first <= release.minor.minor)]
    assert [shown(program) for program in programs(release)] == expected.strip().splitlines()


@every_row
def test_command_lines_with_everything_on(release: Row) -> None:
    expected = LINES_FROM[max(first for first in LINES_FROM if first <= release.minor.minor)].strip().splitlines()
    superlink, supernode, superexec = PROTECTED_FROM[
        max(first for first in PROTECTED_FROM if first <= release.minor.minor)
    ]
    protected = [superlink, supernode, superexec, superexec.replace(ROOT, LOOPBACK_ROOT)]
    assert [shown(program) for program in programs(release, Protection(tls=True, node_auth=True))] == [
        line.replace(PLAIN, instead) for line, instead in zip(expected, protected, strict=True)
    ]


@every_row
def test_without_node_auth_nobody_needs_a_key(release: Row) -> None:
    named = {
        value.what
        for program in programs(release, Protection(tls=True))
        for value in program.arguments
        if isinstance(value, TrustFile)
    }
    assert not named & {Trusted.NODE_LIST, Trusted.NODE_KEY, Trusted.NODE_PUBLIC_KEY}
    assert {Trusted.AUTHORITY, Trusted.SUPERLINK_CERTIFICATE, Trusted.SUPERLINK_KEY} <= named


@every_row
def test_superlink_listens_on(release: Row) -> None:
    superlink, supernode, serverapp, clientapp = programs(release)
    assert superlink.ports == PORTS_FROM[max(first for first in PORTS_FROM if first <= release.minor.minor)]
    assert supernode.ports == (Port("runtime", 9094, "http" if release.minor.minor >= 35 else "grpc"),)
    assert serverapp.ports == clientapp.ports == ()


@every_row
def test_every_address_is_a_port_that_someone_opens(release: Row) -> None:
    superlink, supernode, *superexecs = programs(release)
    opened = {
        "superlink": {port.name for port in superlink.ports},
        "hospital-0": {port.name for port in supernode.ports},
    }
    for program in (supernode, *superexecs):
        [dialled] = [value for value in program.arguments if isinstance(value, Address)]
        assert dialled.port in opened[dialled.component]
    for program in (superlink, supernode):
        named = {value.port for value in program.arguments if isinstance(value, Listen | ListenPort)}
        assert named == {port.name for port in program.ports}
    assert {release.contract.control_port(), release.contract.fleet_port()} <= opened["superlink"]


@every_row
def test_environment(release: Row) -> None:
    *others, serverapp, clientapp = programs(release)
    expected = {
        "FLWR_HOME": "home/",
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "PYTHONUNBUFFERED": "1",
    }
    for program in (*others, clientapp):
        assert {name: text(value) for name, value in program.environment.items()} == expected
    assert {name: text(value) for name, value in serverapp.environment.items()} == expected | {
        "FLOWERBED_RESULTS_ROOT": "results/"
    }


@every_row
def test_control_dialect(release: Row) -> None:
    number = release.minor.minor
    assert release.contract.dialect == ("grpc122" if number == 22 else "grpc" if number < 37 else "http")
    assert release.contract.lists_nodes is (number > 22)
    assert release.contract.registers_nodes is (number > 22)
    assert release.contract.control_port() == ("control" if number < 37 else "api")


@pytest.mark.parametrize(
    ("release", "line"),
    [
        ("1.22", "INFO :      Received: train message 16611a81da2b2f38f4ee76c71af59601"),
        ("1.23", "INFO :      Received: evaluate message 16611a81da2b2f38f4ee76c71af59601"),
        ("1.24", "INFO :      Receiving: train.extra message (ID: 16611a81da2b2f38f4ee76c71af59601)"),
        ("1.36", "INFO :      Receiving: query message (ID: 16611a81da2b2f38f4ee76c71af59601)"),
        ("1.39", "INFO :      Receiving: train message (ID: 16611a81da2b2f38f4ee76c71af59601)"),
        ("1.42", "INFO :      Receiving: train message (ID: 16611a81da2b2f38f4ee76c71af59601)"),
    ],
)
def test_supernode_says_that_it_took_a_message(release: str, line: str) -> None:
    marks = find(release).contract.work_marks
    assert re.search(marks.taken, line)
    assert not re.search(marks.replied, line)


@every_row
@pytest.mark.parametrize(
    "line",
    [
        "INFO :      Sent successfully",
        "INFO :      Run ID 1 is not in `RUNNING` status. Ignoring message 16611a81.",
        "INFO :      Run ID 1 is not in `RUNNING` status. Ignoring reply message 16611a81.",
        "INFO :      Run transitioned to a non-`RUNNING` status while receiving a message. Ignoring the message.",
        "ERROR :     Failed to send message 16611a81: timed out",
        "ERROR :     Failed to receive message 16611a81: timed out",
        "ERROR :     Failed to create task for run ID 1. The message will not be processed.",
    ],
)
def test_supernode_says_that_it_is_done_with_a_message(release: Row, line: str) -> None:
    marks = release.contract.work_marks
    assert re.search(marks.replied, line)
    assert not re.search(marks.taken, line)


@every_row
@pytest.mark.parametrize(
    "line", ["INFO :      Received successfully", "INFO :      Sending: train message", "INFO :      [RUN 1]", ""]
)
def test_supernode_says_other_things(release: Row, line: str) -> None:
    marks = release.contract.work_marks
    assert not re.search(marks.taken, line)
    assert not re.search(marks.replied, line)


def programs(row: Row, protection: Protection = UNPROTECTED) -> list[Program]:
    """Return a SuperLink, a SuperNode and both SuperExecs."""
    config = "partition-id=0 num-partitions=2"
    return [
        row.contract.superlink(row.minor, protection),
        row.contract.supernode(row.minor, protection, superlink="superlink", node_config=config),
        row.contract.serverapp_superexec(row.minor, protection, superlink="superlink"),
        row.contract.clientapp_superexec(row.minor, protection, supernode="hospital-0"),
    ]


def shown(program: Program) -> str:
    return shlex.join([program.executable, *map(text, program.arguments)])


def text(value: Value) -> str:
    match value:
        case str():
            return value
        case Listen(port):
            return f"<{port}>"
        case ListenHost():
            return "<host>"
        case ListenPort(port):
            return f"<port {port}>"
        case Address(component, port):
            return f"{component}<{port}>"
        case DataFile(name):
            return f"data/{name}"
        case HomeFolder():
            return "home/"
        case ResultsFolder():
            return "results/"
        case ScratchFolder(node):
            return f"scratch/{node}"
        case TrustFile(what):
            return TRUST[what]
