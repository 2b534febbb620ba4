"""A Flower App that keeps files where it works, as Flower's examples do."""
