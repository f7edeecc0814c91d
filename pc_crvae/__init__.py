"""Consistency-regularised variational auto-encoders for 3D shapes and images."""

__version__ = "0.1.0"
