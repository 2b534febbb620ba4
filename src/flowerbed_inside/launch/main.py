"""Runs the program of Flower's under whose name this process was started."""

import sys
from os.path import basename


def main() -> object:
    """Run it, and return its exit status."""
    name = sys.argv[0] = basename(sys.argv[0]).removesuffix(".py")  # noqa: PTH119 - an app's process has no need of more
    if name in ("flwr-serverapp", "flwr-clientapp"):
        from flowerbed_inside.launch import app

        return app.run(name)
    if name == "flower-superlink":
        from flowerbed_inside.launch import superlink

        superlink.prepare()
    from flowerbed_inside.launch import launcher

    return launcher.run(name)
