"""Looking at a data set: whether it is what its card says, and what it holds in numbers."""
