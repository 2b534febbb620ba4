"""Letting SuperNodes in: the SuperLink is told of each one's key before that SuperNode begins to dial it.

The SuperNode's launcher waits for a file meanwhile, and imports Flower.

Where keys are registered, a SuperNode that is started again gets a fresh one. Its old one would be taken back only when
the heartbeat of the killed SuperNode is overdue (about a minute), and for the same node, so that a run could wait for
the replies that the killed one owed. Under a fresh key it is a new node, and what the old one owed is known to be lost.
Flower 1.22 makes a new node for the same key, once that is free.

SuperNodes that run elsewhere have spare keys instead, all of which the SuperLink is told of. On 1.22 it is also made to
forget those that went away without a word, whose keys would be in use for good.
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from typing import Protocol

from flowerbed.errors import TrustError
from flowerbed.local.client import ClientError, ControlClient
from flowerbed.local.layout import StateFolder
from flowerbed.local.plan import LISTED, REGISTERED, Plan
from flowerbed.trust.layout import public_keys

RETRY_SECONDS = 0.5
_POLL_SECONDS = 0.05
_FREE_SECONDS = 10.0


class Surroundings(Protocol):
    """What admitting SuperNodes needs of the supervisor."""

    folder: StateFolder
    plan: Plan
    client: ControlClient

    def report(self, kind: str, subject: str, message: str) -> None:
        """Write down that something happened."""


class Admissions:
    """All SuperNodes that are being let in.

    Parameters
    ----------
    around : Surroundings
        Whose client is used.
    """

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._seen: set[str] = set()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._of_all: asyncio.Task[None] | None = None

    def begin_all(self) -> None:
        """Begin to tell of those who may join no more, and to let those in that run elsewhere; anew for a new plan."""
        if self._of_all is not None:
            self._of_all.cancel()
        if self._around.plan.admission:
            self._of_all = asyncio.create_task(self._tell_of_all())

    def begin(self, node: str) -> None:
        """Begin to let a SuperNode in that is being started; it waits until that is done."""
        if self._around.plan.admission not in (LISTED, REGISTERED):
            return
        self._around.folder.admitted(node).unlink(missing_ok=True)
        if self._around.folder.trust.revoked(node).exists():
            return
        if (task := self._tasks.get(node)) is not None:
            task.cancel()
        self._tasks[node] = asyncio.create_task(self._admit(node))

    async def dismiss(self, node: str) -> bool:
        """Let a SuperNode that was revoked join no more; return whether it could.

        Raises
        ------
        ClientError
            If the SuperLink cannot be told.
        """
        if (task := self._tasks.pop(node, None)) is not None:
            task.cancel()
        keys = public_keys(self._around.folder.trust.revoked(node).read_text(encoding="ascii"))
        return bool((await self._around.client.ask("dismiss", keys=keys))["dismissed"])

    async def dismiss_all(self) -> None:
        """Tell the SuperLink of all who were revoked, also while it was away."""
        if self._around.plan.admission:
            for path in sorted(self._around.folder.trust.all_revoked.glob("[!.]*")):
                while not await self._dismissed(path.name):
                    await asyncio.sleep(RETRY_SECONDS)

    async def admit_external(self) -> None:
        """Tell the SuperLink of all keys of the SuperNodes that run elsewhere."""
        for node in self._around.plan.external:
            told = ""
            while True:
                try:
                    await self._superlink()
                    answer = await self._around.client.ask("admit-all", keys=public_keys(self._key(node)))
                except (ClientError, TrustError) as error:
                    if str(error) != told:
                        told = str(error)
                        self._around.report("admission", node, f"is not let in yet: {told}")
                    await asyncio.sleep(RETRY_SECONDS)
                else:
                    if answer["gone"]:
                        self._around.report("admission", node, "has a key that was taken back once and is of no use")
                    break

    def close(self) -> None:
        """Let nobody in any more."""
        for task in (*self._tasks.values(), *filter(None, [self._of_all])):
            task.cancel()

    async def _tell_of_all(self) -> None:
        await self.dismiss_all()
        await self.admit_external()
        while self._around.plan.external and self._around.plan.admission == LISTED:
            await asyncio.sleep(_FREE_SECONDS)
            with suppress(ClientError):  # the SuperLink may be away
                await self._around.client.ask("free")

    async def _admit(self, node: str) -> None:
        again = node in self._seen
        self._seen.add(node)
        fresh = again and self._around.plan.admission == REGISTERED
        replaced: str | None = None
        told = ""
        while True:
            try:
                if fresh:
                    replaced = replaced or self._key(node)
                    self._renew(node)
                    fresh = False
                await self._superlink()
                await self._around.client.ask("admit", key=self._key(node), replaces=replaced)
                self._around.folder.admitted(node).touch()
            except (ClientError, TrustError, OSError) as error:  # a full disk, for one
                dismissed_once = isinstance(error, ClientError) and error.code == "refused"
                fresh = fresh or dismissed_once
                if str(error) != told:
                    told = str(error)
                    self._around.report("admission", node, f"is not let in yet: {told}")
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return

    async def _dismissed(self, node: str) -> bool:
        await self._superlink()
        try:
            await self.dismiss(node)
        except ClientError as error:
            self._around.report("admission", node, f"the SuperLink could not be told that it is revoked: {error}")
            return False
        return True

    async def _superlink(self) -> None:
        while not self._around.folder.superlink_answered.exists():
            await asyncio.sleep(_POLL_SECONDS)

    def _key(self, node: str) -> str:
        path = self._around.folder.trust.node_registered_key(node)
        try:
            return path.read_text(encoding="ascii")
        except (OSError, ValueError) as error:
            raise TrustError(
                f"the SuperNode's key cannot be read: {error}", where=str(path), hint="`flowerbed up` makes one."
            ) from error

    def _renew(self, node: str) -> None:
        from flowerbed.trust.folder import TrustFolder  # 22 MB, and hardly ever needed

        TrustFolder(self._around.folder.trust.root).renew_node(node, random=secrets.token_bytes)
