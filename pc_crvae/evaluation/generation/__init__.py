"""Generation: what a model of points decodes, and how it uses its latents."""
