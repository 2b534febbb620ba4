"""What a user writes, read and checked: the federation, its lock, and the Flower App. Pure but for reading files."""
