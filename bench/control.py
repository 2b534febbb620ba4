"""Asking a SuperLink through the control client, as the supervisor does, but in plain blocking calls."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
from pathlib import Path
from typing import IO, Any

from flowerbed import processes

ANSWER_SECONDS = 120.0


class Unavailable(Exception):
    """The control client could not do what was asked."""


class Control:
    """A control client of the benchmark's own; warm once it is made.

    Parameters
    ----------
    argv, env
        How it is started.
    log : Path
        Where its errors go.
    """

    def __init__(self, argv: list[str], env: dict[str, str], *, log: Path) -> None:
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                argv,
                env=env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
                preexec_fn=processes.death_sentence(os.getpid()),
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests = self._process.stdin
        self._answers: queue.Queue[dict[str, Any]] = queue.Queue()
        self._last = 0
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()
        self.ask("hello")

    def ask(self, op: str, **arguments: object) -> Any:
        """Send a request and return its result.

        Raises
        ------
        Unavailable
            If it was answered with an error.
        """
        self._last += 1
        self._requests.write(json.dumps({"id": self._last, "op": op, **arguments}).encode() + b"\n")
        self._requests.flush()
        while True:
            try:
                answer = self._answers.get(timeout=ANSWER_SECONDS)
            except queue.Empty:
                raise Unavailable(f"no answer to {op!r}") from None
            if answer.get("id") == self._last:
                break
        if not answer["ok"]:
            raise Unavailable(answer["error"]["message"])
        return answer["result"]

    def nodes_online(self) -> int:
        """Return how many SuperNodes are online; 0 if the SuperLink does not answer."""
        try:
            return sum(1 for node in self.ask("nodes") if node["online"])
        except Unavailable:
            return 0

    def runs(self) -> dict[str, dict[str, Any]]:
        """Return every run by its id."""
        return {run["run"]: run for run in self.ask("runs")}

    def close(self) -> None:
        """End it."""
        self._requests.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _read(self, answers: IO[bytes]) -> None:
        for line in answers:
            try:
                self._answers.put(json.loads(line))
            except ValueError:  # something in Flower printed
                continue
