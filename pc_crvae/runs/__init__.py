"""Runs on disk: their folder, what they record while they train, and reading both back."""
