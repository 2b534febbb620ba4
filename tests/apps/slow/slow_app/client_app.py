"""Training is a sleep of the length that the run config names, in every round or in one, and one addition."""

import time
from pathlib import Path

from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:
    only = context.run_config["only-round"]
    slow = only in (0, message.content["config"]["server-round"])
    seconds, until = (float(context.run_config["seconds"]), context.run_config["until"]) if slow else (0.0, "")
    Path("trained").touch()  # where it works can be written to
    print(f"slow: training for {seconds} s", flush=True)
    time.sleep(seconds)
    while until and not Path(until).exists():
        time.sleep(0.1)
    arrays = [array + 1.0 for array in message.content["arrays"].to_numpy_ndarrays()]
    metrics = MetricRecord({"train_loss": float(1.0 / arrays[0][0]), "num-examples": 1})
    return Message(content=RecordDict({"arrays": ArrayRecord(arrays), "metrics": metrics}), reply_to=message)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    trained = float(message.content["arrays"].to_numpy_ndarrays()[0][0])
    metrics = MetricRecord({"eval_loss": 1.0 / trained, "num-examples": 1})
    return Message(content=RecordDict({"metrics": metrics}), reply_to=message)
