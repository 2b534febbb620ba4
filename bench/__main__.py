"""``python -m bench``: measure, and tell. The exit status is 0 whatever the figures say, 1 if one could not be had."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import time
import traceback
from pathlib import Path
from types import FrameType

from bench.figures import Figure, table
from bench.measures import (
    Measure,
    Task,
    cluster,
    cluster_run,
    demo,
    helping,
    image,
    large,
    large_model,
    memory,
    protection,
    render,
    run,
    sixteen,
    size,
    up,
)
from bench.workplace import Workplace, say
from flowerbed import __version__
from flowerbed.flower.releases import DEFAULT

MEASURES: dict[str, Measure] = {
    "help": helping.measure,
    "size": size.measure,
    "render": render.measure,
    "up": up.measure,
    "run": run.measure,
    "demo": demo.measure,
    "protection": protection.measure,
    "memory": memory.measure,
    "sixteen": sixteen.measure,
    "cluster": cluster.measure,
    "cluster-run": cluster_run.measure,
    "image": image.measure,
    "large": large.measure,
    "large-model": large_model.measure,
}


def main() -> int:
    """Measure what was asked for; return the exit status."""
    asked = _arguments()
    signal.signal(signal.SIGTERM, _on_terminate)
    before = os.getloadavg()
    began = time.time()
    figures: list[Figure] = []
    failed: list[str] = []
    with Workplace(asked.flower) as place:
        release = str(place.row.release)
        for name in asked.only or MEASURES:
            say(f"--- {name} ---")
            try:
                figures += MEASURES[name](Task(place, asked.pairs))
            except Exception:  # noqa: BLE001 - the others can still be had
                traceback.print_exc()
                failed.append(name)
    machine = {
        "flowerbed": __version__,
        "flower": release,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": len(os.sched_getaffinity(0)),
        "memory_mb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e6),
        "load_before": before,
        "load_after": os.getloadavg(),
        "began": began,
        "seconds": time.time() - began,
    }
    print(
        f"Flowerbed {__version__}, Flower {release}, Python {machine['python']}, {machine['cores']} cores,"
        f" {machine['memory_mb']:,} MB; load before {before[0]:.2f}; took {machine['seconds']:.0f} s."
    )
    print("Median (smallest–largest). × and differences are of pairs measured in turn. MB are millions of bytes.\n")
    print(table(figures))
    if asked.json is not None:
        content = {"machine": machine, "figures": [figure.as_dict() for figure in figures], "failed": failed}
        asked.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    if failed:
        say(f"could not be measured: {', '.join(failed)}")
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--pairs", type=_positive, help="measure ours and the baseline so often (default: 5, sixteen: 10 runs)"
    )
    parser.add_argument("--flower", default=str(DEFAULT.minor), help="the Flower release (default: %(default)s)")
    parser.add_argument("--only", action="append", choices=MEASURES, help="measure only this; can be given again")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything to a file as well")
    return parser.parse_args()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _on_terminate(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)  # by way of the workplace, which leaves nothing running


if __name__ == "__main__":
    sys.exit(main())
