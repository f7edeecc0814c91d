"""The report of a run: everything about it on one page."""
