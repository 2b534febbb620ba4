"""What a SuperLink counts of SuperNodes' replies: by the launcher's `Counting`, read by `inside_replies`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from by_hand import Client, eventually, federation, write_app

from flowerbed.flower.releases import Row
from flowerbed_inside.control.replies import REPLIES, Counted
from flowerbed_inside.launch.superlink import RUNS_KEPT, Counting, noting

SERVER = """\
import os
import time

from flwr.app import ConfigRecord, Message, RecordDict
from flwr.serverapp import ServerApp

app = ServerApp()


@app.main()
def main(grid, context):
    while not (nodes := list(grid.get_node_ids())):
        time.sleep(0.5)
    for what in ("reply", "raise", "wait"):
        content = RecordDict({"do": ConfigRecord({"what": what, "folder": os.environ["FLOWERBED_RESULTS"]})})
        grid.send_and_receive([Message(content, dst_node_id=nodes[0], message_type="query")], timeout=80)
"""

CLIENT = """\
import time
from pathlib import Path

from flwr.app import Message
from flwr.clientapp import ClientApp

app = ClientApp()


@app.query()
def query(message, context):
    do = message.content["do"]
    if do["what"] == "raise":
        raise ValueError("the data is away\\nand more")
    if do["what"] == "wait":
        Path(do["folder"], "waits").touch()
        time.sleep(60)
    return Message(content=message.content, reply_to=message)
"""


@pytest.mark.flower
@pytest.mark.timeout(600)
def test_a_superlink_counts_good_replies_errors_and_supernodes_that_are_lost(row: Row, tmp_path: Path) -> None:
    app = write_app(tmp_path / "app", server=SERVER, client=CLIENT)
    with federation(str(row.release), tmp_path / "federation") as (there, client):
        there.supernode()
        there.clientapps()
        run = client.ask("submit", app=str(app), config={})["run"]
        eventually((there.results / run / "waits").exists, timeout=240)
        [known] = client.ask("replies", run=run)["counted"]
        error = "<class 'ValueError'>:<'the data is away"
        at_work = {"kind": "query", "asked": 3, "results": 1, "failures": 1, "error": error}
        assert known == {**at_work, "node": known["node"]}
        assert known["node"] in {node["id"] for node in client.ask("nodes")}

        there.kill("clientapps")
        there.terminate("supernode", timeout=60)  # it takes its leave, and the SuperLink answers for it

        eventually(lambda: client.ask("runs", run=run)[0]["status"] == "finished", timeout=120)
        [after] = client.ask("replies", run=run)["counted"]
        assert after == {**known, "failures": 2}
        there.kill("superlink")
        there.superlink()
        again = Client(str(row.release), there.control, home=tmp_path / "again", database=there.database)
        assert again.ask("replies", run=run) == {"counted": [after]}
        assert again.ask("replies", run="17") == {"counted": None}
        again.close()


def message(number: int, *, run: int = 5, node: int = 2**63 + 1, error: str | None = None) -> Any:
    """Make a message, or the reply to one of that number."""
    data = SimpleNamespace(
        run_id=run, dst_node_id=node, message_type="train", reply_to_message_id=f"{number:064}", message_id="of-reply"
    )
    said = None if error is None else SimpleNamespace(reason=error, code=2)
    return SimpleNamespace(metadata=data, error=said, has_error=lambda: said is not None)


class State:
    """A SuperLink's state, as far as it is wrapped."""

    def __init__(self, folder: Path) -> None:
        (folder / REPLIES).mkdir(exist_ok=True)
        self._counting = Counting(folder / REPLIES)

    def begin(self) -> None:
        """Create run 5."""
        noting(lambda _: 5, self._counting.begun)(self)

    def ask(self, number: int) -> None:
        """Store a message to a SuperNode."""
        noting(lambda *_: f"{number:064}", self._counting.asked)(self, message(number))

    def push(self, reply: Any, *, kept: bool = True) -> Any:
        """Store a reply, or refuse it."""
        return noting(lambda *_: "id" if kept else None, self._counting.replied)(self, reply)

    def fetch(self, *replies: Any) -> None:
        """Give the ServerApp replies."""
        noting(lambda *_: list(replies), self._counting.fetched)(self, set())


@pytest.fixture
def state(tmp_path: Path) -> State:
    one = State(tmp_path)
    one.begin()
    return one


def counted(folder: Path) -> list[tuple[int, int, int, str]] | None:
    found = Counted(folder / "state.db").of("5")
    return None if found is None else [(r["asked"], r["results"], r["failures"], r["error"]) for r in found]


def test_a_reply_that_is_pushed_again_is_counted_once_also_after_a_restart(state: State, tmp_path: Path) -> None:
    state.ask(1)
    state.push(message(1))
    state.push(message(1))
    State(tmp_path).push(message(1))
    assert counted(tmp_path) == [(1, 1, 0, "")]


def test_a_reply_that_the_superlink_refused_is_none(state: State, tmp_path: Path) -> None:
    state.ask(1)
    state.push(message(1), kept=False)
    assert counted(tmp_path) == [(1, 0, 0, "")]


def test_what_the_serverapp_was_told_first_counts(state: State, tmp_path: Path) -> None:
    state.ask(1)
    state.fetch(message(1, error="Node Unavailable - gone"))
    state.push(message(1))
    assert counted(tmp_path) == [(1, 0, 1, "Node Unavailable - gone")]


def test_an_error_of_the_superlink_that_names_no_run_belongs_to_the_run_of_its_message(
    state: State, tmp_path: Path
) -> None:
    state.ask(1)
    state.fetch(message(1, run=0, error="Message Unavailable - expired"))
    state.fetch(message(2, run=0, error="of a message that nobody knows"))
    assert counted(tmp_path) == [(1, 0, 1, "Message Unavailable - expired")]


def test_an_error_without_words_is_an_error(state: State, tmp_path: Path) -> None:
    state.ask(1)
    state.push(message(1, error=" \n"))
    assert counted(tmp_path) == [(1, 0, 1, "error 2")]


def test_a_run_that_began_before_anybody_counted_is_not_counted(tmp_path: Path) -> None:
    state = State(tmp_path)
    state.ask(1)
    state.push(message(1))
    assert counted(tmp_path) is None


def test_a_count_that_could_not_be_written_harms_nothing_and_is_known_to_lack(state: State, tmp_path: Path) -> None:
    state.ask(1)
    file = tmp_path / REPLIES / "5"
    content = file.read_bytes()
    file.unlink()
    file.mkdir()  # nobody can write there, root neither
    assert state.push(message(1)) == "id"
    file.rmdir()
    file.write_bytes(content)
    assert counted(tmp_path) == [(1, 0, 0, "")]
    state.fetch()
    assert counted(tmp_path) is None


def test_a_file_is_read_on_from_where_it_was_and_never_half_a_line(state: State, tmp_path: Path) -> None:
    reader = Counted(tmp_path / "state.db")
    state.ask(1)
    before = reader.of("5")
    with (tmp_path / REPLIES / "5").open("a") as file:
        file.write('{"reply": "')
        file.flush()
        assert reader.of("5") == before
        file.write(f"{1:064}"[:16] + '"}\n')
    assert [row["results"] for row in reader.of("5") or ()] == [1]
    assert reader.of("6") is None


def test_a_supernode_of_each_kind_of_message_has_a_row(tmp_path: Path) -> None:
    (tmp_path / REPLIES).mkdir()
    lines: list[dict[str, Any]] = [{"run": "5"}]
    lines += [{"ask": f"{number}", "node": str(number % 2), "kind": "train"} for number in range(4)]
    lines += [{"ask": "e", "node": "0", "kind": "evaluate"}, {"reply": "e"}, {"reply": "1", "error": "no"}]
    (tmp_path / REPLIES / "5").write_text("".join(json.dumps(line) + "\n" for line in lines))
    rows = Counted(tmp_path / "state.db").of("5") or []
    assert [(row["node"], row["kind"], row["asked"], row["results"], row["failures"]) for row in rows] == [
        ("0", "train", 2, 0, 0),
        ("1", "train", 2, 0, 1),
        ("0", "evaluate", 1, 1, 0),
    ]


def test_the_oldest_runs_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / REPLIES
    folder.mkdir()
    for number in range(RUNS_KEPT + 2):
        (folder / str(number)).touch()
        os.utime(folder / str(number), (number, number))
    monkeypatch.setattr("flowerbed_inside.launch.superlink.link_state", lambda: SimpleNamespace())
    with pytest.raises(AttributeError):  # a release without what is wrapped: the launcher says that nothing is counted
        Counting(folder).begin()
    assert {path.name for path in folder.iterdir()} == {str(number) for number in range(2, RUNS_KEPT + 2)}
