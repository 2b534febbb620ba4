"""Training is a sleep of the length that the run config names, and one addition."""

import time

from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:
    seconds = float(context.run_config["seconds"])
    print(f"slow: training for {seconds} s", flush=True)
    time.sleep(seconds)
    arrays = [array + 1.0 for array in message.content["arrays"].to_numpy_ndarrays()]
    metrics = MetricRecord({"train_loss": float(1.0 / arrays[0][0]), "num-examples": 1})
    return Message(content=RecordDict({"arrays": ArrayRecord(arrays), "metrics": metrics}), reply_to=message)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    trained = float(message.content["arrays"].to_numpy_ndarrays()[0][0])
    metrics = MetricRecord({"eval_loss": 1.0 / trained, "num-examples": 1})
    return Message(content=RecordDict({"metrics": metrics}), reply_to=message)
