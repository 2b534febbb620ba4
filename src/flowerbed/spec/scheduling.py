"""On which nodes Pods may run, in Kubernetes' own words: nodeSelector, tolerations, affinity, spreading, GPUs.

The shapes are those of PodSpec (kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1); what the API
server would only refuse later is refused here, with the line of the file.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from flowerbed.spec.affinity import Affinity
from flowerbed.spec.consistency import GPU_RESOURCE
from flowerbed.spec.kubernetes_values import (
    GpuCount,
    LabelKey,
    LabelValue,
    NodeLabels,
    ObjectName,
    PositiveCount,
    ResourceName,
)
from flowerbed.spec.section import Borrowed, Section
from flowerbed.spec.selectors import LabelSelector
from flowerbed.spec.values import fault


class TolerationOperator(StrEnum):
    """How a taint's value is compared."""

    EXISTS = "Exists"
    EQUAL = "Equal"


class TaintEffect(StrEnum):
    """What a taint does to Pods that do not tolerate it."""

    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


class Toleration(Borrowed):
    """Taints of nodes that do not keep the Pod away."""

    key: LabelKey | None = None
    """The taint's key; without one, all, and then the operator is Exists."""

    operator: Annotated[TolerationOperator, Field(strict=False)] | None = None
    """Whether the value counts. Default: Equal."""

    value: LabelValue | None = None
    """The taint's value."""

    effect: Annotated[TaintEffect, Field(strict=False)] | None = None
    """The taint's effect; without it, all."""

    toleration_seconds: int | None = None
    """For how long a Pod stays on a node that gets the taint; for NoExecute."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        exists = self.operator is TolerationOperator.EXISTS
        if self.key is None and not exists:
            raise fault("tolerates no taint that has a name", "give it a key, or operator: Exists to tolerate all")
        if exists and self.value is not None:
            raise fault("has a value that operator: Exists does not look at", "leave out the value, or the operator")
        if self.toleration_seconds is not None and self.effect is not TaintEffect.NO_EXECUTE:
            raise fault("has tolerationSeconds, which only effect: NoExecute knows")
        return self


class Unsatisfiable(StrEnum):
    """What becomes of a Pod that would be spread unevenly."""

    SCHEDULE_ANYWAY = "ScheduleAnyway"
    DO_NOT_SCHEDULE = "DoNotSchedule"


class NodePolicy(StrEnum):
    """Whether nodes that the Pod cannot use count."""

    HONOR = "Honor"
    IGNORE = "Ignore"


class SpreadConstraint(Borrowed):
    """How evenly Pods are spread over nodes, zones or whatever a node label tells apart."""

    topology_key: LabelKey
    """The node label, such as kubernetes.io/hostname or topology.kubernetes.io/zone."""

    when_unsatisfiable: Annotated[Unsatisfiable, Field(strict=False)] = Unsatisfiable.SCHEDULE_ANYWAY
    """ScheduleAnyway: rather so. DoNotSchedule: only so."""

    max_skew: PositiveCount = 1
    """How many more there may be in one place than in another."""

    min_domains: PositiveCount | None = None
    """How many places there are at least; for DoNotSchedule."""

    label_selector: LabelSelector | None = None
    """Which Pods are counted; without it those of the pool."""

    node_affinity_policy: Annotated[NodePolicy, Field(strict=False)] | None = None
    """Whether only nodes count that nodeSelector and affinity allow. Default: Honor."""

    node_taints_policy: Annotated[NodePolicy, Field(strict=False)] | None = None
    """Whether only nodes count whose taints are tolerated. Default: Ignore."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.min_domains is not None and self.when_unsatisfiable is not Unsatisfiable.DO_NOT_SCHEDULE:
            raise fault("has minDomains, which only whenUnsatisfiable: DoNotSchedule knows")
        return self


class GpuPreset(StrEnum):
    """A cluster's convention for its nodes with GPUs; `manifests.placement` has what each means."""

    THUNDERLINE = "Thunderline"


class Gpus(Section):
    """GPUs for each Pod."""

    count: GpuCount = 1
    """How many, whole ones."""

    resource: ResourceName = GPU_RESOURCE
    """What the device plugin calls them."""

    preset: Annotated[GpuPreset, Field(strict=False)] | None = None
    """Thunderline: nodes with the label accelerator=nvidia, whose taint nvidia.com/gpu is tolerated."""


class Placement(Section):
    """On which nodes Pods may run."""

    node_selector: NodeLabels = Field(default_factory=dict)
    """Labels that a node must have; Kubernetes only."""

    tolerations: Annotated[tuple[Toleration, ...], Field(strict=False)] = ()
    """Taints of nodes that do not keep the Pods away; Kubernetes only."""

    affinity: Affinity | None = None
    """Which nodes, and near to or away from which Pods; Kubernetes only."""

    runtime_class_name: ObjectName | None = None
    """The RuntimeClass that runs the Pods, if not the cluster's default; Kubernetes only."""

    priority_class_name: ObjectName | None = None
    """The PriorityClass of the Pods, which has to be there; Kubernetes only."""
