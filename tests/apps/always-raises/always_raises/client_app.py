"""Every training ends in an error, as when a volume was forgotten; its words would steer a terminal."""

from flwr.app import Context, Message
from flwr.clientapp import ClientApp

app = ClientApp()


def open_data() -> None:
    raise ValueError("\x1b]0;mine\x07the hospital's \x1b[31mdata\x1b[0m is not mounted\x1b[2J")


@app.train()
def train(message: Message, context: Context) -> Message:
    open_data()
    return Message(content=message.content, reply_to=message)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    open_data()
    return Message(content=message.content, reply_to=message)
