"""Label selectors, as Kubernetes has them: objects by their labels."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from flowerbed.spec.kubernetes_values import LabelKey, LabelValue, NodeLabels
from flowerbed.spec.section import Borrowed
from flowerbed.spec.values import fault


class SelectorOperator(StrEnum):
    """How a label is compared."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


class LabelExpression(Borrowed):
    """One condition on a label."""

    key: LabelKey
    """The label's key."""

    operator: Annotated[SelectorOperator, Field(strict=False)]
    """How it is compared."""

    values: Annotated[tuple[LabelValue, ...], Field(strict=False)] = ()
    """What it is compared with; for In and NotIn."""

    @model_validator(mode="after")
    def _values_fit(self) -> Self:
        check_values(self.operator, self.values)
        return self


class LabelSelector(Borrowed):
    """Objects by their labels: all that is said must hold; {} is every object."""

    match_labels: NodeLabels = Field(default_factory=dict)
    """Labels with their values."""

    match_expressions: Annotated[tuple[LabelExpression, ...], Field(strict=False)] = ()
    """Conditions on labels."""


def check_values(operator: str, values: tuple[str, ...]) -> None:
    """Refuse values where an operator looks at none, and their lack where it needs some."""
    if operator in ("Exists", "DoesNotExist"):
        if values:
            raise fault(f"has values that operator: {operator} does not look at", "leave them out")
    elif not values:
        raise fault(f"has no values, which operator: {operator} needs")
