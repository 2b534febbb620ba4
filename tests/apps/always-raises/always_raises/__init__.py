"""A Flower App whose ClientApps cannot train."""
