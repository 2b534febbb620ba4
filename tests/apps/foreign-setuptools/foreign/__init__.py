"""Least squares by clients of the older API."""
