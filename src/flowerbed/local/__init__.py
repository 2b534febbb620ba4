"""The local runtime: Flower's environments, and a federation's units as supervised processes on this machine."""
