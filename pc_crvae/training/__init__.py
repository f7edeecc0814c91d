"""Training: from a configuration and two sets of items to an exported model."""
