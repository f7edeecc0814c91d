"""Faces of many corners as triangles: whatever their shape, they cover what the face bounds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pc_crvae.data.formats import polygons
from pc_crvae.data.formats.polygons import grouped, strip_triangles, triangulate


def shoelace(plane: np.ndarray) -> float:
    x, y = plane.T
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)


def simple_polygon(rng: np.random.Generator, corners: int) -> np.ndarray:
    """A polygon around the origin that does not cross itself, mostly concave."""
    angles = (np.arange(corners) + rng.uniform(0, 0.9, corners)) * 2 * np.pi / corners
    radii = rng.uniform(0.1, 1, corners)
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)


def in_space(rng: np.random.Generator, plane: np.ndarray) -> np.ndarray:
    axes, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return np.c_[plane, np.zeros(len(plane))] @ axes + rng.normal(size=3) * 10


def areas_of(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    a, b, c = vertices[triangles].transpose(1, 0, 2)
    return np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2


def check_covers(plane: np.ndarray, rng: np.random.Generator) -> None:
    vertices = in_space(rng, plane)
    triangles, repairs = triangulate([np.arange(len(plane))[None]], vertices)
    assert triangles.shape == (len(plane) - 2, 3)
    assert areas_of(vertices, triangles).sum() == pytest.approx(shoelace(plane), rel=1e-9)
    assert repairs == {"degenerate faces": 0, "self-crossing faces": 0}
    # All turn the way the face does.
    a, b, c = vertices[triangles].transpose(1, 0, 2)
    normal = np.cross(vertices, np.roll(vertices, -1, axis=0)).sum(axis=0)
    assert (np.cross(b - a, c - a) @ normal >= -1e-9 * np.linalg.norm(normal)).all()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), corners=st.integers(5, 40), backwards=st.booleans())
def test_a_simple_polygon_is_covered_once(seed: int, corners: int, backwards: bool):
    rng = np.random.default_rng(seed)
    plane = np.roll(simple_polygon(rng, corners), rng.integers(corners), axis=0)
    for _ in range(rng.integers(3)):  # a corner twice, and one in the middle of an edge
        at = int(rng.integers(len(plane) - 1))
        middle = (plane[at] + plane[at + 1]) / 2
        plane = np.insert(plane, at + 1, [plane[at], middle], axis=0)
    check_covers(plane[::-1] if backwards else plane, rng)


def test_a_hole_that_is_joined_to_the_outline_stays_open():
    outer = np.array([(0, 0), (4, 0), (4, 4), (0, 4)], float)
    hole = np.array([(1, 1), (1, 3), (3, 3), (3, 1)], float)
    plane = np.concatenate([outer[:1], hole, hole[:1], outer[:1], outer[1:]])
    for start in range(len(plane)):
        check_covers(np.roll(plane, start, axis=0), np.random.default_rng(start))


def test_a_convex_face_is_the_fan_from_its_first_corner():
    faces = np.arange(10).reshape(2, 5)
    angles = np.arange(5) * 2 * np.pi / 5
    ring = np.stack([np.cos(angles), np.sin(angles), np.zeros(5)], axis=1)
    triangles, _ = triangulate([faces], np.concatenate([ring, ring + 7]))
    np.testing.assert_array_equal(
        triangles, [(0, 1, 2), (0, 2, 3), (0, 3, 4), (5, 6, 7), (5, 7, 8), (5, 8, 9)]
    )


@pytest.mark.parametrize("size", [1e-150, 1e-9, 1e150])
def test_size_does_not_matter(size: float):
    arrow = np.array([(0, 0, 0), (2, 1, 0), (0, 2, 0), (0.5, 1, 0)]) * size
    for start in range(4):
        triangles, _ = triangulate([np.roll(np.arange(4), start)[None]], arrow)
        assert areas_of(arrow / size, triangles).sum() == pytest.approx(1.5)


@pytest.mark.parametrize(
    "corners",
    [
        [(0, 0, 0), (1, 1, 0), (1, 0, 0), (0, 1, 0)],
        [(0, 0, 0), (1, 1, 0), (1, 0, 0), (0, 3, 0)],
        [(np.cos(a), np.sin(a), 0) for a in np.arange(5) * 4 * np.pi / 5],
    ],
    ids=["a bow tie", "an uneven one", "a pentagram"],
)
def test_a_face_that_crosses_itself_is_counted(corners: list[tuple[float, ...]]):
    _, repairs = triangulate([np.arange(len(corners))[None]], np.array(corners, float))
    assert repairs == {"degenerate faces": 0, "self-crossing faces": 1}


def test_a_concave_face_of_too_many_corners_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(polygons, "MOST_CONCAVE_CORNERS", 7)
    plane = np.array([(0, 0), (4, 0), (4, 4), (2, 1), (1, 4), (0, 4), (-1, 2), (-1, 1)], float)
    with pytest.raises(ValueError, match="not convex has 8 corners, more than the 7"):
        triangulate([np.arange(8)[None]], np.c_[plane, np.zeros(8)])


def test_faces_of_fewer_than_three_corners_are_counted():
    found, repairs = triangulate(grouped([(0,), (0, 1), (0, 1, 2), ()]), np.eye(3))
    np.testing.assert_array_equal(found, [(0, 1, 2)])
    assert repairs["degenerate faces"] == 3


def test_the_triangles_of_a_strip_face_alike():
    found = strip_triangles(np.array([0, 1, 2, 3]))
    np.testing.assert_array_equal(found, [(0, 1, 2), (3, 2, 1)])
    assert all(strip_triangles(np.arange(count)).shape == (0, 3) for count in range(3))
