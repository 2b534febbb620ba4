"""Kubernetes' quantities: ``250m``, ``512Mi``, ``1.5``, ``2e9``, and what they amount to."""

from __future__ import annotations

import re
from decimal import Decimal

QUANTITY = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,2})?")
"""A quantity that is not negative
(kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity)."""

_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


def amount(quantity: str) -> Decimal:
    """Return what a quantity amounts to, in cores, bytes, or whatever it counts.

    Raises
    ------
    ValueError
        If the text is no quantity.
    """
    if not QUANTITY.fullmatch(quantity):
        raise ValueError(quantity)
    if quantity.endswith("i"):
        return Decimal(quantity[:-2]) * Decimal(1024) ** _BINARY[quantity[-2:]]
    if quantity[-1] in _DECIMAL:
        return Decimal(quantity[:-1]).scaleb(_DECIMAL[quantity[-1]])
    return Decimal(quantity)
