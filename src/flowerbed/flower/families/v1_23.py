"""Flower 1.23 to 1.34: still gRPC on a port per API, but the Control API lists SuperNodes."""

from __future__ import annotations

from flowerbed.flower.contract import DATABASE, UNPROTECTED, Dialect, Port, Program, Protection, WorkMarks
from flowerbed.flower.families import common, v1_22
from flowerbed.flower.families import protection as protecting
from flowerbed.flower.release import Minor
from flowerbed.flower.values import DataFile, Listen, Value

_STORAGE_FOLDER_UNTIL = Minor(1, 28)
"""FABs are in a folder of their own until then, and in the database after it."""
_INSTALLS_DEPENDENCIES_FROM = Minor(1, 32)
"""From then on a SuperLink installs an app's dependencies at run time unless told not to."""


class Family(v1_22.Family):
    """The contract of 1.23 to 1.34: that of 1.22, but for the SuperLink."""

    family = "1.23: gRPC, a port per API, lists SuperNodes"
    dialect: Dialect = "grpc"
    lists_nodes = True
    registers_nodes = True

    @property
    def work_marks(self) -> WorkMarks:
        """How a SuperNode's log shows its work."""
        return common.work_marks(r"Receiv(ed|ing): \S+ message")

    def superlink(self, minor: Minor, protection: Protection = UNPROTECTED) -> Program:
        """Return the SuperLink."""
        storage: tuple[Value, ...] = ("--storage-dir", DataFile("fabs")) if minor <= _STORAGE_FOLDER_UNTIL else ()
        installs = (common.NO_INSTALLATION,) if minor >= _INSTALLS_DEPENDENCIES_FROM else ()
        return Program(
            "flower-superlink",
            (
                *protecting.superlink(minor, protection),
                *common.PROCESS_ISOLATION,
                *installs,
                "--serverappio-api-address",
                Listen("runtime"),
                "--fleet-api-address",
                Listen("fleet"),
                "--control-api-address",
                Listen("control"),
                "--database",
                DATABASE,
                *storage,
            ),
            ports=(Port("runtime", 9091, "grpc"), Port("fleet", 9092, "grpc"), Port("control", 9093, "grpc")),
            environment=common.environment(),
        )
