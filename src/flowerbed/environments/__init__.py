"""Flower's environments: one per exact release, Python and set of app dependencies, in a cache, built by uv.

Flower is never in Flowerbed's own environment: its releases pin tightly and exclude each other.
"""
