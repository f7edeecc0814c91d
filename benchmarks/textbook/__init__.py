"""Slow, obvious versions that the package's fast code is held against."""
