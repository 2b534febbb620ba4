"""The ClientApp: what each SuperNode does with a message, on the images that only it has."""

from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from app_package.task import evaluate as evaluate_model
from app_package.task import load_partition, new_model, use_threads
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


def received_model(message: Message, context: Context):
    """Return the network with the weights that came with the message."""
    use_threads(int(context.run_config["torch-threads"]))
    model = new_model(int(context.run_config["seed"]))
    model.load_state_dict(message.content["arrays"].to_torch_state_dict())
    return model


@app.train()
def train(message: Message, context: Context) -> Message:
    """Train the network that came with the message, and send it back."""
    model = received_model(message, context)
    images, digits, _, _ = own_images(context)
    train_model(
        model,
        images,
        digits,
        epochs=int(context.run_config["local-epochs"]),
        batch_size=int(context.run_config["batch-size"]),
        learning_rate=float(context.run_config["learning-rate"]),
        seed=int(context.run_config["seed"]),
    )
    loss, accuracy = evaluate_model(model, images, digits)
    # FedAvg weighs each SuperNode's model and metrics by "num-examples".
    metrics = {"train_loss": loss, "train_accuracy": accuracy, "num-examples": len(images)}
    content = RecordDict(
        {"arrays": ArrayRecord(model.state_dict()), "metrics": MetricRecord(metrics)}
    )
    return Message(content=content, reply_to=message)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """Judge the network that came with the message on images it was not trained on."""
    model = received_model(message, context)
    _, _, images, digits = own_images(context)
    loss, accuracy = evaluate_model(model, images, digits)
    metrics = {"eval_loss": loss, "eval_accuracy": accuracy, "num-examples": len(images)}
    return Message(content=RecordDict({"metrics": MetricRecord(metrics)}), reply_to=message)
