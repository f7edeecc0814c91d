"""Random numbers fixed by a key: `keys` needs NumPy alone, `draws` gives torch tensors."""
