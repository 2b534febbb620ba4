"""Starts a program of this package; see there.

Python puts the folder that it is given, which is the package itself, onto the import path. It is taken off, so that
none of our modules hides one of an app.
"""

import sys
from os.path import abspath, dirname

if __name__ == "__main__":
    here = dirname(abspath(__file__))  # noqa: PTH100, PTH120 - every program's start waits for it
    sys.path[0] = dirname(here)  # noqa: PTH120
    import flowerbed_inside  # noqa: F401

    del sys.path[0]
    from importlib import import_module

    sys.argv[:] = sys.argv[1:]
    sys.exit(import_module(f"flowerbed_inside.{sys.argv[0]}").main())
