"""A Flower App with a loop of its own that prints nothing of its rounds."""
