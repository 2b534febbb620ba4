"""Run a Flower App's own ServerApp and ClientApps in one process: APP_FOLDER NODES [KEY=VALUE ...].

Started by the tests with the Python of an app's environment. Everything of the app is real, and so are
Flower's messages, strategy and app objects; only the transport is a function call. Values are TOML.
"""

from __future__ import annotations

import importlib
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid

try:  # since 1.38 a message takes its run and its sender from here, where Flower's own processes put them
    from flwr.supercore.task_identity import TaskIdentity
except ImportError:
    pass
else:
    TaskIdentity.run_id = TaskIdentity.task_id = TaskIdentity.node_id = 1


class CallingGrid(Grid):  # type: ignore[misc]
    """Hands each message to the ClientApp of its node, here and now."""

    def __init__(self, client_app: ClientApp, contexts: dict[int, Context]) -> None:
        self.client_app = client_app
        self.contexts = contexts

    def get_node_ids(self) -> list[int]:
        return list(self.contexts)

    def send_and_receive(self, messages: Iterable[Message], **_: object) -> list[Message]:
        return [self.client_app(message, self.contexts[message.metadata.dst_node_id]) for message in messages]


def main(folder: Path, nodes: int, overrides: list[str]) -> None:
    app = tomllib.loads((folder / "pyproject.toml").read_text())["tool"]["flwr"]["app"]
    run_config = app["config"] | tomllib.loads("\n".join(overrides))
    sys.path.insert(0, str(folder))

    def load(reference: str) -> Any:
        module, _, name = reference.partition(":")
        return getattr(importlib.import_module(module), name)

    def context(node: int, node_config: dict[str, int]) -> Context:
        return Context(run_id=1, node_id=node, node_config=node_config, state=RecordDict(), run_config=run_config)

    contexts = {
        100 + number: context(100 + number, {"partition-id": number, "num-partitions": nodes})
        for number in range(nodes)
    }
    CallingGrid.__abstractmethods__ = frozenset()  # the rest of a Grid's methods are not called
    grid = CallingGrid(load(app["components"]["clientapp"]), contexts)
    load(app["components"]["serverapp"])(grid, context(1, {}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
