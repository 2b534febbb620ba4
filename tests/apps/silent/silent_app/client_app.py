"""Adds up what it was sent."""

from flwr.app import Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


@app.query()
def query(message: Message, context: Context) -> Message:
    if message.content["failing"]["where"] in ("everywhere", str(context.node_config["partition-id"])):
        raise ValueError("the hospital's data is not mounted")
    numbers = message.content["arrays"].to_numpy_ndarrays()[0]
    return Message(content=RecordDict({"sum": MetricRecord({"sum": float(numbers.sum())})}), reply_to=message)
