"""Starting Flower's programs."""
