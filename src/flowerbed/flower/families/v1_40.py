"""Flower 1.40 to 1.42: everything over HTTP, and the SuperLink on one port."""

from __future__ import annotations

from flowerbed.flower.contract import DATABASE, UNPROTECTED, Dialect, Port, Program, Protection, WorkMarks
from flowerbed.flower.families import common
from flowerbed.flower.families import protection as protecting
from flowerbed.flower.release import Minor
from flowerbed.flower.values import Address, ListenHost, ListenPort


class Family:
    """The contract of 1.40 to 1.42."""

    family = "1.40: HTTP on one port"
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
                "--database",
                DATABASE,
            ),
            ports=(Port("api", 8000, "http"),),
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
            (*protecting.serverapp_superexec(minor, protection), "--runtime-api-address", Address(superlink, "api")),
            environment=common.serverapp_environment(),
        )

    def clientapp_superexec(self, minor: Minor, protection: Protection = UNPROTECTED, *, supernode: str) -> Program:
        """Return the SuperExec that runs ClientApps."""
        return Program(
            "flower-superexec",
            (
                *protecting.clientapp_superexec(minor, protection),
                "--runtime-api-address",
                Address(supernode, "runtime"),
            ),
            environment=common.environment(),
        )

    def control_port(self) -> str:
        """Return the SuperLink's only port."""
        return "api"

    def fleet_port(self) -> str:
        """Return the SuperLink's only port."""
        return "api"

    def runtime_port(self) -> str:
        """Return the SuperLink's port for SuperExecs."""
        return "api"
