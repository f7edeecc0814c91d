"""Shapes made by random programs, without an end: the makers behind the set `programs`."""
