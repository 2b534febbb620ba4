"""No strategy: messages are sent, answers come, and not a word is printed or logged."""

import threading
import time
from pathlib import Path

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MessageType, RecordDict
from flwr.serverapp import Grid, ServerApp

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    while len(nodes := list(grid.get_node_ids())) < 2:
        time.sleep(1)
    for number in range(int(context.run_config["num-server-rounds"])):
        arrays = ArrayRecord([np.full(3, float(number))])
        content = RecordDict({"arrays": arrays, "failing": ConfigRecord({"where": context.run_config["failing"]})})
        questions = [Message(content, dst_node_id=node, message_type=MessageType.QUERY) for node in nodes]
        for answer in grid.send_and_receive(questions, timeout=300):
            if answer.has_error():
                continue
            if answer.content["sum"]["sum"] != 3.0 * number:
                raise RuntimeError("an answer is missing or wrong")
    threading.Thread(target=save).start()


def save() -> None:
    """Save something once the ServerApp has returned."""
    time.sleep(2.0)
    Path("late.txt").write_text("saved after the end")
