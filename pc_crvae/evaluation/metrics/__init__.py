"""Measures on features, clouds, likelihoods and answers: one per module."""
