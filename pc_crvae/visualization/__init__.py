"""Pictures, web pages and windows of point clouds, from NumPy arrays alone."""
