"""How good a model of images is: likelihood, latents, consistency, and what a class costs."""
