"""Flower 1.37 to 1.39: HTTP on one port for SuperExecs and users; SuperNodes still gRPC."""

from __future__ import annotations

from flowerbed.flower.contract import DATABASE, UNPROTECTED, Dialect, Port, Program, Protection, WorkMarks
from flowerbed.flower.families import common
from flowerbed.flower.families import protection as protecting
from flowerbed.flower.release import Minor
from flowerbed.flower.values import Address, Listen, ListenHost, ListenPort

_PLUGIN_TYPE_UNTIL = Minor(1, 37)
"""A SuperExec must be told until then what it runs; later ones go by the task."""


class Family:
    """The contract of 1.37 to 1.39."""

    family = "1.37: HTTP on one port, gRPC for SuperNodes"
    dialect: Dialect = "http"
    lists_nodes = True
    registers_nodes = True

    @property
    def work_marks(self) -> WorkMarks:
        """How a SuperNode's log shows its work."""
        return common.work_marks(r"Receiving: \S+ message")

    def superlink(self, minor: Minor, protection: Protection = UNPROTECTED) -> Program:
        """Return the SuperLink."""
        return Program(
            "flower-superlink",
            (
                *protecting.superlink(minor, protection),
                *common.PROCESS_ISOLATION,
                common.NO_INSTALLATION,
                "--host",
                ListenHost(),
                "--port",
                ListenPort("api"),
                "--fleet-api-address",
                Listen("fleet"),
                "--database",
                DATABASE,
            ),
            ports=(Port("api", 8000, "http"), Port("fleet", 9092, "grpc")),
            environment=common.environment(),
        )

    def supernode(
        self, minor: Minor, protection: Protection = UNPROTECTED, *, superlink: str, node_config: str
    ) -> Program:
        """Return a SuperNode."""
        return common.http_supernode(minor, protection, Address(superlink, self.fleet_port()), node_config)

    def serverapp_superexec(self, minor: Minor, protection: Protection = UNPROTECTED, *, superlink: str) -> Program:
        """Return the SuperExec that runs ServerApps."""
        return Program(
            "flower-superexec",
            (
                *protecting.serverapp_superexec(minor, protection),
                *_plugin_type(minor, "serverapp"),
                "--runtime-api-address",
                Address(superlink, self.control_port()),
            ),
            environment=common.serverapp_environment(),
        )

    def clientapp_superexec(self, minor: Minor, protection: Protection = UNPROTECTED, *, supernode: str) -> Program:
        """Return the SuperExec that runs ClientApps."""
        return Program(
            "flower-superexec",
            (
                *protecting.clientapp_superexec(minor, protection),
                *_plugin_type(minor, "clientapp"),
                "--runtime-api-address",
                Address(supernode, "runtime"),
            ),
            environment=common.environment(),
        )

    def control_port(self) -> str:
        """Return the SuperLink's port for users (and SuperExecs)."""
        return "api"

    def fleet_port(self) -> str:
        """Return the SuperLink's port for SuperNodes."""
        return "fleet"

    def runtime_port(self) -> str:
        """Return the SuperLink's port for SuperExecs."""
        return "api"


def _plugin_type(minor: Minor, value: str) -> tuple[str, ...]:
    return ("--plugin-type", value) if minor <= _PLUGIN_TYPE_UNTIL else ()
