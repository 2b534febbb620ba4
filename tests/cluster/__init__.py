"""The project's own Kubernetes, for tests and for developers; README.md says how it is put together."""

from cluster.harness import Cluster, KubectlFailed
from cluster.inside import ClusterFailed
from cluster.manifests import NodeSpec

__all__ = ["Cluster", "ClusterFailed", "KubectlFailed", "NodeSpec"]
