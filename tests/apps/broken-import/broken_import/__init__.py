"""A Flower App whose ServerApp needs a module that is not there."""
