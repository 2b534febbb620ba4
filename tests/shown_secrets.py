"""Looking for secrets where they must not show."""

from __future__ import annotations

import base64
from collections.abc import Mapping


def forms(content: bytes) -> list[bytes]:
    """Return a secret as it could be written: as it is, in base64, in hexadecimal digits; of keys, their lines.

    The public half of a key may stand beside it, and is none.
    """
    if b"-----BEGIN" in content:
        lines = [line for line in content.splitlines() if not line.startswith((b"-----", b"ecdsa-sha2-"))]
        return [line for line in lines if len(line) > 16]
    return [content, base64.b64encode(content), content.hex().encode()]


def shown(secrets: Mapping[str, bytes], seen: Mapping[str, bytes]) -> list[tuple[str, str]]:
    """Return which secret shows in which place."""
    parts = {name: forms(content) for name, content in secrets.items()}
    return [
        (name, place)
        for name, found in parts.items()
        for place, text in seen.items()
        if any(one in text for one in found)
    ]
