"""Vectors of items: made by a model, kept with what made them, searched."""
