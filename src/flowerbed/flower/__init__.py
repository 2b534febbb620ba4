"""What each family of Flower releases expects: the only room that knows Flower's flags, ports and private modules."""
