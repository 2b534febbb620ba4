"""Each ClientApp counts its messages in a file where it works, and says where that is."""

from pathlib import Path

from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

AT_IMPORT = Path.cwd()
app = ClientApp()


def count() -> int:
    """Return how many messages of the run came to this SuperNode, this one too."""
    log = Path("data", "messages.txt")
    if not log.exists():
        Path("data").mkdir()
    with log.open("a") as file:
        file.write("one\n")
    count = len(log.read_text().splitlines())
    print(f"saves: message {count} in {Path.cwd()}, imported in {AT_IMPORT}", flush=True)
    return count


@app.train()
def train(message: Message, context: Context) -> Message:
    arrays = [array + 1.0 for array in message.content["arrays"].to_numpy_ndarrays()]
    metrics = MetricRecord({"messages": count(), "num-examples": 1})
    return Message(content=RecordDict({"arrays": ArrayRecord(arrays), "metrics": metrics}), reply_to=message)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    metrics = MetricRecord({"messages": count(), "num-examples": 1})
    return Message(content=RecordDict({"metrics": metrics}), reply_to=message)
