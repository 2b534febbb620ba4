"""What each family of Flower releases expects: the only room that knows a flag, a port or a private module of Flower's."""
