"""A module per family of Flower releases; each says in full what its programs take.

A family is named after its first minor release. What differs *inside* a family is asked of the `minor`
that every method gets; what no family may get wrong is in `common`.
"""
