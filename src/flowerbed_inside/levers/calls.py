"""The calls of Flower's servers by which clients ask whether there is something for them, and those that bring it.

A poll asks about a topic, and a push brings news about topics. A topic is a kind and a number: ``(FLEET, 7)`` is what
there is for the SuperNode 7. The others have no number:

====== ============================================ ===================== ==================================
Kind   What there may be                            Who asks              Who brings it
====== ============================================ ===================== ==================================
FLEET  messages for a SuperNode                     the SuperNode         the Grid of a ServerApp
GRID   replies                                      the Grid              SuperNodes
TASK   an app to start                              a SuperExec           users, a SuperNode, apps that end
REPLY  a reply, or an object of one                 the SuperNode itself  the ClientApp
====== ============================================ ===================== ==================================

The paths are those of all releases from 1.22 on; each has some of them. What a server does not know, it does not
answer, and what brings news and is not here costs the time for which a poll is held.

It runs in Flower's environment: standard library and flwr only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

PRIVATE = {
    "flwr.proto.fleet_pb2:PullMessagesRequest": ">=1.35",
    "flwr.proto.fleet_pb2:PushMessagesResponse": ">=1.35",
    "flwr.proto.runtime_pb2:PullAppMessagesRequest": ">=1.35",
    "flwr.proto.runtime_pb2:PushAppMessagesRequest": ">=1.35",
    "flwr.proto.runtime_pb2:PushAppMessagesResponse": ">=1.35",
}
"""What is used of Flower that it does not promise to keep, as ``module:attribute``, and in which releases.

It is used to read what is said over HTTP; without it nothing is held there."""

Topic = tuple[str, int]

FLEET, GRID, TASK, REPLY = "fleet", "grid", "task", "reply"
NO_NUMBER = 0
REPLIES: Topic = (REPLY, NO_NUMBER)
TASKS: Topic = (TASK, NO_NUMBER)


@dataclass(frozen=True)
class Poll:
    """A call that asks whether there is something.

    Parameters
    ----------
    kind : str
        The topic's kind.
    request : str
        The class of its request, as ``module:class``, where the topic depends on it.
    """

    kind: str
    request: str = ""

    def topic(self, request: Any) -> Topic | None:
        """Return what is asked for; None for a call that waits for nothing."""
        if self.kind == FLEET:
            return (FLEET, request.node.node_id)
        if self.kind == GRID and not request.message_ids:  # a Grid that has sent no message, or a ClientApp
            return None
        return (self.kind, NO_NUMBER)


@dataclass(frozen=True)
class Push:
    """A call that brings something.

    Parameters
    ----------
    kinds : tuple of str
        The kinds of its topics.
    request, answer : str
        The classes of its request and its answer, where they are read.
    is_object : bool
        Whether it brings one of the objects that an earlier call announced.
    """

    kinds: tuple[str, ...]
    request: str = ""
    answer: str = ""
    is_object: bool = False

    def topics(self, request: Any) -> frozenset[Topic]:
        """Return what there is something for."""
        numbered = {(FLEET, message.metadata.dst_node_id) for message in request.messages_list} if self._fleet else ()
        return frozenset({*numbered, *((kind, NO_NUMBER) for kind in self.kinds if kind != FLEET)})

    @property
    def _fleet(self) -> bool:
        return FLEET in self.kinds


Call = Poll | Push

_OBJECT = Push((REPLY,), is_object=True)
_OUTPUT = Push((TASK, REPLY))

HTTP: Mapping[str, Call] = {
    "/v1/control/start-run": Push((TASK,)),
    "/v1/fleet/pull-messages": Poll(FLEET, "fleet_pb2:PullMessagesRequest"),
    "/v1/fleet/push-messages": Push((GRID,), answer="fleet_pb2:PushMessagesResponse"),
    "/v1/fleet/push-object": _OBJECT,
    "/v1/runtime/acquire-task": Poll(TASK),
    "/v1/runtime/create-task": Push((TASK,)),
    "/v1/runtime/pull-messages": Poll(GRID, "runtime_pb2:PullAppMessagesRequest"),
    "/v1/runtime/pull-pending-tasks": Poll(TASK),
    "/v1/runtime/push-messages": Push(
        (FLEET, REPLY), "runtime_pb2:PushAppMessagesRequest", "runtime_pb2:PushAppMessagesResponse"
    ),
    "/v1/runtime/push-object": _OBJECT,
    "/v1/runtime/push-task-output": _OUTPUT,
    "/v1/runtime/start-automation": Push((TASK,)),
}
"""Calls over HTTP, by their paths: Runtime from 1.35 on, Control from 1.37, Fleet from 1.40."""

GRPC: Mapping[str, Call] = {
    "/flwr.proto.ClientAppIo/CreateTask": Push((TASK,)),
    "/flwr.proto.ClientAppIo/ListAppsToLaunch": Poll(TASK),
    "/flwr.proto.ClientAppIo/PullMessages": Poll(GRID),
    "/flwr.proto.ClientAppIo/PullPendingTasks": Poll(TASK),
    "/flwr.proto.ClientAppIo/PushAppOutputs": _OUTPUT,
    "/flwr.proto.ClientAppIo/PushClientAppOutputs": _OUTPUT,
    "/flwr.proto.ClientAppIo/PushMessage": Push((REPLY,)),
    "/flwr.proto.ClientAppIo/PushMessages": Push((REPLY,)),
    "/flwr.proto.ClientAppIo/PushObject": _OBJECT,
    "/flwr.proto.ClientAppIo/PushTaskOutput": _OUTPUT,
    "/flwr.proto.Control/StartRun": Push((TASK,)),
    "/flwr.proto.Fleet/PullMessages": Poll(FLEET),
    "/flwr.proto.Fleet/PushMessages": Push((GRID,)),
    "/flwr.proto.Fleet/PushObject": _OBJECT,
    "/flwr.proto.Runtime/CreateTask": Push((TASK,)),
    "/flwr.proto.Runtime/PullMessages": Poll(GRID),
    "/flwr.proto.Runtime/PullPendingTasks": Poll(TASK),
    "/flwr.proto.Runtime/PushMessages": Push((FLEET, REPLY)),
    "/flwr.proto.Runtime/PushObject": _OBJECT,
    "/flwr.proto.Runtime/PushTaskOutput": _OUTPUT,
    "/flwr.proto.Runtime/StartAutomation": Push((TASK,)),
    "/flwr.proto.ServerAppIo/CreateTask": Push((TASK,)),
    "/flwr.proto.ServerAppIo/ListAppsToLaunch": Poll(TASK),
    "/flwr.proto.ServerAppIo/PullMessages": Poll(GRID),
    "/flwr.proto.ServerAppIo/PullPendingTasks": Poll(TASK),
    "/flwr.proto.ServerAppIo/PushAppOutputs": _OUTPUT,
    "/flwr.proto.ServerAppIo/PushMessages": Push((FLEET,)),
    "/flwr.proto.ServerAppIo/PushObject": _OBJECT,
    "/flwr.proto.ServerAppIo/PushTaskOutput": _OUTPUT,
    "/flwr.proto.ServerAppIo/StartAutomation": Push((TASK,)),
}
"""Calls over gRPC, by their paths: Runtime and Control up to 1.34, Control up to 1.36, Fleet up to 1.39."""


def message_class(name: str) -> Any:
    """Return a class of Flower's messages by ``module:class``; None for no name."""
    if not name:
        return None
    module, _, attribute = name.partition(":")
    return getattr(import_module(f"flwr.proto.{module}"), attribute)
