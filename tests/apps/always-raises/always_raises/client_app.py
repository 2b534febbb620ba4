"""Every training ends in an error, as when a volume was forgotten."""

from flwr.app import Context, Message
from flwr.clientapp import ClientApp

app = ClientApp()


def open_data() -> None:
    raise ValueError("the hospital's data is not mounted")


@app.train()
def train(message: Message, context: Context) -> Message:
    open_data()
    return Message(content=message.content, reply_to=message)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    open_data()
    return Message(content=message.content, reply_to=message)
