"""Container registries, as far as they have to be asked: which image a name stands for now."""
