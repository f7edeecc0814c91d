"""What every room may use and no room is about: files, YAML, progress, processes."""
