"""Studies: arms times seeds, each an ordinary run, and what they add up to.

Importing it does not import torch: a mistake in a study is found before anything heavy starts.
"""
