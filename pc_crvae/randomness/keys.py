"""Seeds and NumPy streams fixed by a key: what randomness needs where torch is not."""

import hashlib
import operator

import numpy as np

Key = int | str


def seed_from_key(*key: Key) -> int:
    """Hash a key, for example ``("step", seed, epoch, step)``, to a 63-bit seed."""
    # A NumPy integer is the same key as the int it equals.
    plain = tuple(part if isinstance(part, str) else operator.index(part) for part in key)
    digest = hashlib.sha256(repr(plain).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def keyed_numpy_generator(*key: Key) -> np.random.Generator:
    """Return a NumPy generator whose stream is fixed by ``key``."""
    return np.random.Generator(np.random.Philox(seed_from_key(*key)))
