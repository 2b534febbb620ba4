"""Affinity, as Kubernetes has it: which nodes, and near to or away from which Pods."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from flowerbed.spec.kubernetes_values import LabelKey, ObjectName, Weight
from flowerbed.spec.section import Borrowed
from flowerbed.spec.selectors import LabelSelector, check_values
from flowerbed.spec.values import fault


class NodeOperator(StrEnum):
    """How a node's label or field is compared."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"
    GREATER = "Gt"
    LESS = "Lt"


class NodeExpression(Borrowed):
    """One condition on a node's label or field."""

    key: LabelKey
    """The label's key, or metadata.name among matchFields."""

    operator: Annotated[NodeOperator, Field(strict=False)]
    """How it is compared."""

    values: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """What it is compared with; for Gt and Lt one whole number, in quotes."""

    @model_validator(mode="after")
    def _values_fit(self) -> Self:
        check_values(self.operator, self.values)
        one_number = len(self.values) == 1 and self.values[0].removeprefix("-").isdecimal()
        if self.operator in (NodeOperator.GREATER, NodeOperator.LESS) and not one_number:
            raise fault(f"operator: {self.operator} compares with one whole number", 'for example values: ["8"]')
        return self


class NodeTerm(Borrowed):
    """Conditions that must all hold."""

    match_expressions: Annotated[tuple[NodeExpression, ...], Field(strict=False)] = ()
    """On labels."""

    match_fields: Annotated[tuple[NodeExpression, ...], Field(strict=False)] = ()
    """On fields."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.match_expressions and not self.match_fields:
            raise fault("matches no node", "give it matchExpressions or matchFields")
        return self


class NodeTerms(Borrowed):
    """Nodes for which at least one of the terms holds."""

    node_selector_terms: Annotated[tuple[NodeTerm, ...], Field(min_length=1, strict=False)]
    """The terms."""


class PreferredNodes(Borrowed):
    """Nodes that are better than others."""

    weight: Weight
    """How much better, 1 to 100."""

    preference: NodeTerm
    """Which."""


class NodeAffinity(Borrowed):
    """Which nodes, by their labels."""

    required_during_scheduling_ignored_during_execution: NodeTerms | None = None
    """Only these."""

    preferred_during_scheduling_ignored_during_execution: Annotated[
        tuple[PreferredNodes, ...], Field(strict=False)
    ] = ()
    """Rather these."""


class PodTerm(Borrowed):
    """Nodes, or zones, in which some Pods are."""

    topology_key: LabelKey
    """The node label that tells what counts as one place, such as kubernetes.io/hostname."""

    label_selector: LabelSelector | None = None
    """Which Pods."""

    namespaces: Annotated[tuple[ObjectName, ...], Field(strict=False)] = ()
    """In which namespaces; without it the federation's."""

    namespace_selector: LabelSelector | None = None
    """In which namespaces, by their labels."""


class PreferredPods(Borrowed):
    """Places that are better than others."""

    weight: Weight
    """How much better, 1 to 100."""

    pod_affinity_term: PodTerm
    """Which."""


class PodAffinity(Borrowed):
    """Near to, or away from, which Pods."""

    required_during_scheduling_ignored_during_execution: Annotated[tuple[PodTerm, ...], Field(strict=False)] = ()
    """Only so."""

    preferred_during_scheduling_ignored_during_execution: Annotated[tuple[PreferredPods, ...], Field(strict=False)] = ()
    """Rather so."""


class Affinity(Borrowed):
    """Which nodes, and near to or away from which Pods."""

    node_affinity: NodeAffinity | None = None
    """Which nodes."""

    pod_affinity: PodAffinity | None = None
    """Near to which Pods."""

    pod_anti_affinity: PodAffinity | None = None
    """Away from which Pods."""
