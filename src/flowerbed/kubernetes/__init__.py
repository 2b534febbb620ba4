"""The same federation on Kubernetes: objects from the topology, applied and observed through the API server."""
