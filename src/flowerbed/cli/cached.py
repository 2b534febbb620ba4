"""What `flowerbed env` and `flowerbed images` say in the same words of what lies in the cache."""

from __future__ import annotations

import time
from collections.abc import Iterable

from flowerbed.cli.output import Output

DAY = 86_400.0
MB = 1_000_000


def ago(moment: float) -> str:
    """Say how long ago something was: seconds since the epoch."""
    return f"{(time.time() - moment) / DAY:.1f} days ago"


def tell_removed(out: Output, sizes: Iterable[int], *, dry_run: bool) -> None:
    """Say how much was deleted, or would be; `sizes` are in bytes."""
    freed = list(sizes)
    out.say(f"{'Would delete' if dry_run else 'Deleted'} {len(freed)}, {sum(freed) / MB:.0f} MB.")
