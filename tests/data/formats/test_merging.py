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


def merged_by_sorting(vertices):
    """Every vertex sorted by z, then y, then x, and the first of equal ones kept."""
    order = np.lexsort(vertices.T)
    ordered = vertices[order]
    first = np.r_[True, (ordered[1:] != ordered[:-1]).any(axis=1)]
    place = np.empty(len(vertices), np.int64)
    place[order] = np.cumsum(first) - 1
    return ordered[first], place


@settings(deadline=None, max_examples=60)
@given(vertices=vertices_with_duplicates)
def test_vertices_are_merged_as_by_sorting_them_all(vertices):
    merged, place = meshes._merge(vertices)
    expected, expected_place = merged_by_sorting(vertices)
    assert merged.tobytes() == expected.tobytes()  # the sign of 0 included
    np.testing.assert_array_equal(place, expected_place)


def test_vertices_of_one_hash_are_told_apart(monkeypatch):
    monkeypatch.setattr(meshes, "_hashes", lambda vertices: np.zeros(len(vertices), np.uint64))
    vertices = np.array([[1.0, 0, 0], [0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0]])
    merged, place = meshes._merge(vertices)
    assert len(merged) == 3
    np.testing.assert_array_equal(merged[place], vertices)


def test_hashes_of_different_vertices_differ():
    grid = np.stack(np.meshgrid(*[np.arange(-16, 16) / 8] * 3), axis=-1).reshape(-1, 3)
    assert len(np.unique(meshes._hashes(grid))) == len(grid)


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
