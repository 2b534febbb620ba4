"""Flowerbed: one typed file describes a Flower federation; one set of verbs runs it for real."""

__version__ = "0.1.0"
