"""Likes are counted as they are found."""

import numpy as np

from benchmarks.twins import found


def test_likes_found_first_and_among_five_are_counted() -> None:
    angles = np.radians([0, 1, 40, 50, 90, 91, 92, 93, 94, 200])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    # Both a find each other first; the last c finds its like fifth, and no other does at all.
    classes = np.array(["a", "a", "b", "x", "c", "y", "z", "u", "b", "c"])
    assert found(vectors, classes) == (2, 3)
