"""Text that Kubernetes hands on as it is."""

from __future__ import annotations


def literal(text: str) -> str:
    """Return a text so that Kubernetes makes exactly it of it, as an argument or an environment variable's value.

    There ``$(NAME)`` is replaced by a variable and ``$$`` by ``$``
    (kubernetes.io, "Define dependent environment variables").
    """
    return text.replace("$", "$$") if "$(" in text or "$$" in text else text
