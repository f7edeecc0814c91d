"""Formats of single files: meshes, clouds, images; one per module."""
