"""Spec × release contract → the components and units of a federation. Pure."""
