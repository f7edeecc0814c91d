"""Getting a data set's files from its mirrors: transfer, checks, unpacking."""
