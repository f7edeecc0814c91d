"""What two shapes are to each other, where it is known beforehand."""

import numpy as np
import pytest
import trimesh

from benchmarks.planted import extruded
from helpers.bent_shapes import TURN, body, bracket, cloud, cloud_body, triangles
from pc_crvae.collection.comparison import compare

SHAPE = triangles(bracket())


def single_precision(corners):
    return corners.astype(np.float32).astype(np.float64)


def test_what_is_written_anew_elsewhere_or_in_other_triangles_is_the_same_geometry():
    first = body(SHAPE)
    for corners in (
        single_precision(SHAPE + np.array([5, 0, 2])),
        triangles(bracket().subdivide()),
        SHAPE[::-1, ::-1],
    ):
        found = compare(first, body(corners))
        assert found is not None
        assert found.kind == "same geometry"
        assert found.apart < 1e-6


@pytest.mark.parametrize("scale", [25.4, 1 / 1000, 1.3])
def test_another_size_is_told_with_its_ratio_turned_or_not(scale):
    for turn in (np.eye(3), TURN):
        found = compare(body(SHAPE), body(SHAPE @ turn.T * scale))
        assert found is not None
        assert found.kind == "scaled"
        assert np.isclose(found.scale, scale, rtol=1e-6)
        assert (found.degrees > 1) == (turn is TURN)


def test_a_turned_shape_is_told_with_its_angle_and_whether_it_lies():
    found = compare(body(SHAPE), body(single_precision(SHAPE @ TURN.T)))
    assert found is not None
    assert found.kind == "turned"
    assert np.isclose(found.degrees, np.degrees(0.9), atol=0.01)
    on_its_side = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    found = compare(body(SHAPE), body(SHAPE @ on_its_side.T))
    assert found is not None
    assert found.on_side


def test_a_mirror_image_is_a_class_of_its_own_where_no_turn_gives_it():
    found = compare(body(SHAPE), body(SHAPE * [1, -1, 1] @ TURN.T))
    assert found is not None
    assert found.kind == "mirrored"
    symmetric = triangles(trimesh.creation.box((1, 2, 3)))
    found = compare(body(symmetric), body(symmetric * [1, -1, 1] @ TURN.T))
    assert found is not None
    assert found.kind == "turned"


@pytest.mark.parametrize(
    "mesh",
    [
        trimesh.creation.box((1, 1, 1)),
        trimesh.creation.cylinder(radius=1, height=1.2, sections=64),
        trimesh.creation.box((1, 1, 2)),
    ],
)
def test_round_and_square_shapes_are_found_although_their_axes_mean_nothing(mesh):
    corners = triangles(mesh)
    found = compare(body(corners), body(corners @ TURN.T * 2))
    assert found is not None
    assert found.kind == "scaled"
    assert np.isclose(found.scale, 2, rtol=1e-6)


def test_noise_is_near_and_another_shape_is_nothing():
    mesh = bracket()
    rng = np.random.default_rng(0)
    moved = mesh.vertices + rng.normal(scale=0.005 * 4, size=mesh.vertices.shape)
    found = compare(body(SHAPE), body(moved[mesh.faces] @ TURN.T))
    assert found is not None
    assert found.kind == "near"
    assert 1e-4 < found.apart < 0.006
    assert compare(body(SHAPE), body(triangles(bracket(3.6)))) is None
    assert compare(body(SHAPE), body(triangles(trimesh.creation.icosphere()))) is None


LINES = np.cumsum([0, 1, 1.1, 0.8, 1.1, 1.2, 0.8, 0.9, 1.2, 1.0, 1.1, 0.7])
HOLES = [(2, 2), (2, 5), (5, 4), (8, 3)]


def plate(holes, lines=LINES):
    """A plate of 11 by 7 cells between lines, with some cut out."""
    cells = np.ones((11, 7), dtype=bool)
    cells[tuple(np.transpose(holes))] = False
    return triangles(extruded(cells, (lines, lines[:8], 0.7)))


def test_a_hole_more_is_near_and_a_plate_with_its_holes_elsewhere_is_not():
    found = compare(body(plate(HOLES)), body(plate([*HOLES, (7, 5)]) @ TURN.T))
    assert found is not None
    assert found.kind == "near"
    assert found.farthest > 10 * found.apart
    other_lines = LINES + np.random.default_rng(0).normal(size=len(LINES)) * 0.08
    other = plate([(3, 2), (2, 4), (6, 4), (8, 3)], other_lines)
    assert compare(body(plate(HOLES)), body(other)) is None


def test_the_same_points_are_the_same_and_another_draw_of_them_is_near():
    points = cloud(bracket(), 1200, 0)
    order = np.random.default_rng(0).permutation(len(points))
    found = compare(cloud_body(points), cloud_body(points[order] @ TURN.T))
    assert found is not None
    assert found.kind == "turned"
    found = compare(cloud_body(points), cloud_body(cloud(bracket(), 1200, 1)))
    assert found is not None
    assert found.kind == "near"
    found = compare(body(SHAPE), cloud_body(points))
    assert found is not None
    assert found.kind == "near"
