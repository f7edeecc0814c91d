"""What a pair is, in words an engineer reads once."""

import pytest

from pc_crvae.collection.comparison import Comparison
from pc_crvae.collection.duplicates import Finding
from pc_crvae.collection.wording import TITLES, describe


@pytest.mark.parametrize(
    ("comparison", "sentence"),
    [
        (Comparison("same file"), "B is the same file as A, byte for byte."),
        (Comparison("same geometry"), "B has the geometry of A."),
        (
            Comparison("scaled", scale=25.4),
            "B is A, 25.4 times as large (inches and millimetres).",
        ),
        (
            Comparison("scaled", scale=0.5, degrees=90),
            "B is A, smaller by a factor of 2, turned by 90°.",
        ),
        (
            Comparison("turned", degrees=90, on_side=True),
            "B is A, turned by 90°, so that it lies on another side.",
        ),
        (Comparison("mirrored"), "B is the mirror image of A."),
        (
            Comparison("near", apart=0.0035, farthest=0.021),
            "B is nearly A: they lie 0.35% of their size apart on average, 2.1% at most.",
        ),
        (
            Comparison("near", apart=0.002, farthest=0.031),
            "B is nearly A: they lie 0.20% of their size apart on average, 3.1% at most, and "
            "differ in one place.",
        ),
    ],
)
def test_each_kind_has_its_sentence(comparison, sentence):
    assert describe(Finding(0, 1, comparison), ("A", "B"), (None, None)) == sentence
    assert comparison.kind in TITLES
