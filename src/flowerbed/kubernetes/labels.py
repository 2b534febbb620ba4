"""The labels by which a federation's objects are known, and who made them.

The ``app.kubernetes.io`` ones are Kubernetes' recommended labels
(kubernetes.io, "Recommended Labels"); a role is the component's.
"""

from __future__ import annotations

NAME = "app.kubernetes.io/name"
INSTANCE = "app.kubernetes.io/instance"
COMPONENT = "app.kubernetes.io/component"
PART_OF = "app.kubernetes.io/part-of"
MANAGED_BY = "app.kubernetes.io/managed-by"
VERSION = "app.kubernetes.io/version"
FEDERATION = "flowerbed.dev/federation"
"""The federation's name, on its top-level objects alone: who applies those may rewrite all labels above."""

POOL = "flowerbed.dev/pool"
RUN = "flowerbed.dev/run"
"""The number of a run, on its record and its Job."""

REVOKED = "flowerbed.dev/revoked"
"""Annotation of a pool's workload: how many of its SuperNodes may join no more."""

CHANGING = "flowerbed.dev/changing"
"""Annotation of a SuperLink's workload while an `up` may restart what a run needs: nobody submits a run meanwhile."""

STOP_ASKED = "flowerbed.dev/stop-asked"
"""Annotation of a run's record: Flowerbed was asked to stop it."""

MEANWHILE = "flowerbed.dev/meanwhile"
"""Annotation of a run's record: what Flowerbed did to the federation while it went on, a line for each."""

TRUST = "flowerbed.dev/trust"
"""Annotation of a workload's Pods: changes when they have to be started again to read what is trusted."""

MANAGER = "flowerbed"
"""Value of `MANAGED_BY`, and the field manager of what is applied."""
