"""A Flower App that takes its time, so that something can be killed meanwhile."""
