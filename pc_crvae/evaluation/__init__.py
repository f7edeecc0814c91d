"""How good a representation is: the linear probe and the statistics of latent codes."""
