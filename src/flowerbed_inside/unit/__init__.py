"""The init of a Pod's container, which runs the programs of one unit, and what it needs."""
