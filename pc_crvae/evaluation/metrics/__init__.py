"""Measures on features, clouds, likelihoods and answers: one a module."""
