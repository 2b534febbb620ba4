"""The ClientApp: what each SuperNode does with a message, on the images that only it has."""

from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from app_package.task import evaluate as evaluate_model
from app_package.task import load_partition
from app_package.task import train as train_model

app = ClientApp()


def own_images(context: Context):
    """Return this SuperNode's images; which they are is in its node config."""
    try:
        partition_id = int(context.node_config["partition-id"])
        num_partitions = int(context.node_config["num-partitions"])
    except KeyError as missing:
        raise ValueError(f"the SuperNode's node config has no {missing}") from None
    return load_partition(partition_id, num_partitions, int(context.run_config["seed"]))


@app.train()
def train(message: Message, context: Context) -> Message:
    """Train the model that came with the message, and send it back."""
    images, digits, _, _ = own_images(context)
    parameters = train_model(
        message.content["arrays"].to_numpy_ndarrays(),
        images,
        digits,
        epochs=int(context.run_config["local-epochs"]),
        learning_rate=float(context.run_config["learning-rate"]),
        seed=int(context.run_config["seed"]),
    )
    loss, accuracy = evaluate_model(parameters, images, digits)
    # FedAvg weighs each SuperNode's model and metrics by "num-examples".
    metrics = {"train_loss": loss, "train_accuracy": accuracy, "num-examples": len(images)}
    content = RecordDict({"arrays": ArrayRecord(parameters), "metrics": MetricRecord(metrics)})
    return Message(content=content, reply_to=message)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """Judge the model that came with the message on images it was not trained on."""
    _, _, images, digits = own_images(context)
    loss, accuracy = evaluate_model(message.content["arrays"].to_numpy_ndarrays(), images, digits)
    metrics = {"eval_loss": loss, "eval_accuracy": accuracy, "num-examples": len(images)}
    return Message(content=RecordDict({"metrics": MetricRecord(metrics)}), reply_to=message)
