"""A folder of shapes, understood as one collection: its map, its groups, its duplicates."""
