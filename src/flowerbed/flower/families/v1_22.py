"""Flower 1.22: gRPC on a port per API, SuperNodes' keys in a CSV file, no list of nodes."""

# ruff: noqa: ARG002 (each method takes the minor release, also where it makes no difference)

from __future__ import annotations

from flowerbed.flower.contract import DATABASE, Dialect, Port, Program, WorkMarks
from flowerbed.flower.families import common
from flowerbed.flower.release import Minor
from flowerbed.flower.values import Address, DataFile, Listen


class Family:
    """The contract of 1.22."""

    family = "1.22: gRPC, a port per API"
    dialect: Dialect = "grpc122"
    lists_nodes = False

    @property
    def work_marks(self) -> WorkMarks:
        """How a SuperNode's log shows its work."""
        return common.work_marks(r"Received: \S+ message")

    def superlink(self, minor: Minor) -> Program:
        """Return the SuperLink."""
        return Program(
            "flower-superlink",
            (
                common.NO_TLS,
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

    def supernode(self, minor: Minor, *, superlink: str, node_config: str) -> Program:
        """Return a SuperNode."""
        return Program(
            "flower-supernode",
            (
                common.NO_TLS,
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

    def serverapp_superexec(self, minor: Minor, *, superlink: str) -> Program:
        """Return the SuperExec that runs ServerApps."""
        return Program(
            "flower-superexec",
            (common.NO_TLS, "--plugin-type", "serverapp", "--appio-api-address", Address(superlink, "runtime")),
            environment=common.serverapp_environment(),
        )

    def clientapp_superexec(self, minor: Minor, *, supernode: str) -> Program:
        """Return the SuperExec that runs ClientApps."""
        return Program(
            "flower-superexec",
            (common.NO_TLS, "--plugin-type", "clientapp", "--appio-api-address", Address(supernode, "runtime")),
            environment=common.environment(),
        )

    def control_port(self) -> str:
        """Return the SuperLink's port for users."""
        return "control"

    def fleet_port(self) -> str:
        """Return the SuperLink's port for SuperNodes."""
        return "fleet"
