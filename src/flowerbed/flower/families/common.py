"""What every family of releases has in common: the environment of its programs, and a SuperNode's log."""

from __future__ import annotations

from flowerbed.flower.contract import Port, Program, Protection, WorkMarks
from flowerbed.flower.families import protection as protecting
from flowerbed.flower.release import Minor
from flowerbed.flower.values import Address, HomeFolder, ListenHost, ListenPort, ResultsFolder, Value
from flowerbed_inside.variables import RESULTS_ROOT

PROCESS_ISOLATION = ("--isolation", "process")
"""SuperLink and SuperNode start no app process themselves: SuperExecs do."""

NO_INSTALLATION = "--disable-runtime-dependency-installation"
"""A SuperLink of 1.32 and newer lets apps bring dependencies at run time unless told not to; its own SuperExecs
would heed that (ours do not install, as no one told them to), and an environment must stay what was solved."""


def environment() -> dict[str, Value]:
    """Return what each of Flower's programs gets.

    Each has a FLWR_HOME of its own, because apps are unpacked there and two first installations of one
    app can race. A release that does not know a variable ignores it (the update check came with 1.28).
    """
    return {
        "FLWR_HOME": HomeFolder(),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "PYTHONUNBUFFERED": "1",
    }


def serverapp_environment() -> dict[str, Value]:
    """Return what the SuperExec of ServerApps gets, and hands on to them."""
    return environment() | {RESULTS_ROOT: ResultsFolder()}


def work_marks(taken: str) -> WorkMarks:
    """Return the marks of a SuperNode's work.

    It is done with a message not only when the reply is sent: the run may have been stopped meanwhile, or the
    message or its reply lost. After a loss the SuperNode goes on with the next message, but the SuperLink was not
    told, and the run waits (seen on 1.41: one answer 500, "database is locked", among sixteen SuperNodes).

    Parameters
    ----------
    taken : str
        How the release says that it got a message.
    """
    lost = r"Failed to (send|receive) message|Failed to create task"
    return WorkMarks(taken=taken, replied=rf"Sent successfully|Ignoring (the |reply )?message|{lost}", lost=lost)


def http_supernode(minor: Minor, protection: Protection, superlink: Address, node_config: str) -> Program:
    """Return a SuperNode as every release from 1.35 on takes it: SuperExecs dial in over HTTP."""
    return Program(
        "flower-supernode",
        (
            *protecting.supernode(minor, protection),
            *PROCESS_ISOLATION,
            "--superlink",
            superlink,
            "--host",
            ListenHost(),
            "--port",
            ListenPort("runtime"),
            "--node-config",
            node_config,
        ),
        ports=(Port("runtime", 9094, "http"),),
        environment=environment(),
    )
