"""Flower 1.35 and 1.36: SuperExecs talk HTTP; SuperNodes and users still gRPC, on ports of their own."""

from __future__ import annotations

from flowerbed.flower.contract import DATABASE, UNPROTECTED, Dialect, Port, Program, Protection, WorkMarks
from flowerbed.flower.families import common
from flowerbed.flower.families import protection as protecting
from flowerbed.flower.release import Minor
from flowerbed.flower.values import Address, Listen, ListenHost, ListenPort

_RENAMED_ADDRESS_FROM = Minor(1, 36)


class Family:
    """The contract of 1.35 and 1.36."""

    family = "1.35: HTTP for SuperExecs, gRPC for SuperNodes and users"
    dialect: Dialect = "grpc"
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
                ListenPort("runtime"),
                "--fleet-api-address",
                Listen("fleet"),
                "--control-api-address",
                Listen("control"),
                "--database",
                DATABASE,
            ),
            ports=(Port("runtime", 8000, "http"), Port("fleet", 9092, "grpc"), Port("control", 9093, "grpc")),
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
                "--plugin-type",
                "serverapp",
                _address_flag(minor),
                Address(superlink, "runtime"),
            ),
            environment=common.serverapp_environment(),
        )

    def clientapp_superexec(self, minor: Minor, protection: Protection = UNPROTECTED, *, supernode: str) -> Program:
        """Return the SuperExec that runs ClientApps."""
        return Program(
            "flower-superexec",
            (
                *protecting.clientapp_superexec(minor, protection),
                "--plugin-type",
                "clientapp",
                _address_flag(minor),
                Address(supernode, "runtime"),
            ),
            environment=common.environment(),
        )

    def control_port(self) -> str:
        """Return the SuperLink's port for users."""
        return "control"

    def fleet_port(self) -> str:
        """Return the SuperLink's port for SuperNodes."""
        return "fleet"

    def runtime_port(self) -> str:
        """Return the SuperLink's port for SuperExecs."""
        return "runtime"


def _address_flag(minor: Minor) -> str:
    return "--runtime-api-address" if minor >= _RENAMED_ADDRESS_FROM else "--appio-api-address"
