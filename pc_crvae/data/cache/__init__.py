"""What was read once is kept on disk: the store of prepared splits, and how it is filled."""
