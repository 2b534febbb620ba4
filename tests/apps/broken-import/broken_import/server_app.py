"""The import below fails: no such module is declared, nor anywhere to be had."""

import ward_register_of_nowhere
from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    ward_register_of_nowhere.open()
