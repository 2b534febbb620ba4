"""The launcher: it lies on PATH under the name of a program of Flower's, and starts `flowerbed_inside.launch.main`.

The folder above its own holds the package. That is on the import path only until the package is found, whose modules
are found by the package then: nothing of ours hides a module of an app, nor is it on the import path of an app.
"""

import sys
from os.path import abspath, dirname

if __name__ == "__main__":
    sys.path.insert(0, dirname(dirname(abspath(__file__))))  # noqa: PTH100, PTH120 - every program's start waits for it
    import flowerbed_inside  # noqa: F401

    del sys.path[0]
    from flowerbed_inside.launch.main import main

    sys.exit(main())  # type: ignore[arg-type]
