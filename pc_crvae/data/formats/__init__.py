"""Formats of single files: meshes, clouds, images; one a module."""
