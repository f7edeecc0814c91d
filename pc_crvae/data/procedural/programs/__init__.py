"""Shapes made by random programs, without an end: the makers behind the set `programs`."""

VERSION = 1
"""Of the generator; raised where the same seed and number make another shape."""
