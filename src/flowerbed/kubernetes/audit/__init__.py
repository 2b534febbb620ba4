"""What can be said against a federation before it is brought up: a chain of small checks. Pure."""
