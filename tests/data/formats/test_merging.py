import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pc_crvae.data.formats import meshes
from pc_crvae.data.formats.bounds import bounds

few_values = st.sampled_from([0.0, -0.0, 1.0, 1e-310, 1e300, 0.1, np.nextafter(0.1, 1)])
vertices_with_duplicates = hnp.arrays(
    np.float64, st.tuples(st.integers(1, 40), st.just(3)), elements=few_values
)


def merged_one_by_one(vertices):
    """Different vertices by z, then y, then x, found by a dictionary; of 0 and -0 the first."""
    different = {tuple(vertex): vertex for vertex in vertices[::-1]}
    ordered = sorted(different, key=lambda vertex: vertex[::-1])
    places = {vertex: place for place, vertex in enumerate(ordered)}
    return np.array([different[vertex] for vertex in ordered]), [
        places[tuple(vertex)] for vertex in vertices
    ]


@settings(deadline=None, max_examples=60)
@given(vertices=vertices_with_duplicates)
def test_vertices_are_merged_as_one_by_one(vertices):
    merged, place = meshes._merge(vertices)
    expected, expected_place = merged_one_by_one(vertices)
    assert merged.tobytes() == expected.tobytes()  # the sign of 0 included
    np.testing.assert_array_equal(place, expected_place)


@settings(deadline=None, max_examples=30)
@given(vertices=vertices_with_duplicates)
def test_vertices_of_one_key_are_told_apart(vertices):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(meshes, "_MIXERS", np.zeros(3, np.uint64))
        merged, place = meshes._merge(vertices)
    expected, expected_place = merged_one_by_one(vertices)
    assert merged.tobytes() == expected.tobytes()
    np.testing.assert_array_equal(place, expected_place)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
def test_bounds_are_the_extremes_along_the_points(dtype):
    points = (100 * np.random.default_rng(0).standard_normal((4, 50, 3))).astype(dtype)
    low, high = bounds(points)
    assert low.dtype == high.dtype == dtype
    np.testing.assert_array_equal(low, points.min(axis=1))
    np.testing.assert_array_equal(high, points.max(axis=1))


def test_bounds_of_a_point_that_is_no_number_are_none():
    low, high = bounds(np.array([[0, np.nan], [1, 2]]))
    np.testing.assert_array_equal(low, [0, np.nan])
    np.testing.assert_array_equal(high, [1, np.nan])
