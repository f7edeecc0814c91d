"""Robustness: what is left of a representation of shapes rotated, corrupted or seen in part."""
