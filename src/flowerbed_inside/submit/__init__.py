"""Checking an app, and submitting it from inside a cluster."""
