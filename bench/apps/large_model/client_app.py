"""The ClientApp of the benchmark of large models: changes every number, and sends all of them back."""

from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


@app.train()
def train(message: Message, _context: Context) -> Message:
    arrays = [array + 1 for array in message.content["arrays"].to_numpy_ndarrays()]
    metrics = MetricRecord({"train_loss": 1.0, "num-examples": 1})
    return Message(content=RecordDict({"arrays": ArrayRecord(arrays), "metrics": metrics}), reply_to=message)


@app.evaluate()
def evaluate(message: Message, _context: Context) -> Message:
    (first, *_) = message.content["arrays"].to_numpy_ndarrays()
    metrics = MetricRecord({"eval_loss": float(first[0]), "num-examples": 1})
    return Message(content=RecordDict({"metrics": metrics}), reply_to=message)
