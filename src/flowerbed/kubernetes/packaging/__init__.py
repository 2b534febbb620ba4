"""The objects as files: a Kustomize base with overlays, a Helm chart, and the folder in which they are written."""
