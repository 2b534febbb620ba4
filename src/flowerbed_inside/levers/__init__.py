"""Levers: ways to spare Flower waiting and work."""
