"""Flower 1.22: gRPC on a port per API, SuperNodes' keys in a CSV file, no list of nodes."""

from __future__ import annotations

from flowerbed.flower.contract import DATABASE, UNPROTECTED, Dialect, Port, Program, Protection, WorkMarks
from flowerbed.flower.families import common
from flowerbed.flower.families import protection as protecting
from flowerbed.flower.release import Minor
from flowerbed.flower.values import Address, DataFile, Listen


class Family:
    """The contract of 1.22."""

    family = "1.22: gRPC, a port per API"
    dialect: Dialect = "grpc122"
    lists_nodes = False
    registers_nodes = False

    @property
    def work_marks(self) -> WorkMarks:
        """How a SuperNode's log shows its work."""
        return common.work_marks(r"Received: \S+ message")

    def superlink(self, minor: Minor, protection: Protection = UNPROTECTED) -> Program:
        """Return the SuperLink."""
        return Program(
            "flower-superlink",
            (
                *protecting.superlink(minor, protection),
                *common.PROCESS_ISOLATION,
                "--serverappio-api-address",
                Listen("runtime"),
                "--fleet-api-address",
                Listen("fleet"),
                "--control-api-address",
                Listen("control"),
                "--database",
                DATABASE,
                "--storage-dir",
                DataFile("fabs"),
            ),
            ports=(Port("runtime", 9091, "grpc"), Port("fleet", 9092, "grpc"), Port("control", 9093, "grpc")),
            environment=common.environment(),
        )

    def supernode(
        self, minor: Minor, protection: Protection = UNPROTECTED, *, superlink: str, node_config: str
    ) -> Program:
        """Return a SuperNode."""
        return Program(
            "flower-supernode",
            (
                *protecting.supernode(minor, protection),
                *common.PROCESS_ISOLATION,
                "--superlink",
                Address(superlink, self.fleet_port()),
                "--clientappio-api-address",
                Listen("runtime"),
                "--node-config",
                node_config,
            ),
            ports=(Port("runtime", 9094, "grpc"),),
            environment=common.environment(),
        )

    def serverapp_superexec(self, minor: Minor, protection: Protection = UNPROTECTED, *, superlink: str) -> Program:
        """Return the SuperExec that runs ServerApps."""
        return Program(
            "flower-superexec",
            (
                *protecting.serverapp_superexec(minor, protection),
                "--plugin-type",
                "serverapp",
                "--appio-api-address",
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
                "--appio-api-address",
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
