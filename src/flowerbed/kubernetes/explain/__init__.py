"""What keeps a federation from being ready, in sentences: one module per kind of trouble. Pure."""
