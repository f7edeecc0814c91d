import numpy as np
import pytest
import trimesh
from scipy.stats import chisquare

from pc_crvae.data.procedural.shapes import CLASSES, make_mesh, make_shapes
from pc_crvae.data.procedural.solids import (
    arc,
    box,
    cylinder,
    ellipsoid,
    frustum,
    rod,
    smooth,
    tube,
)
from pc_crvae.data.surface_sampling import sample_surface, surface_areas

SHAPES_PER_CLASS = 6


def meshes_of(name, seed=0, count=SHAPES_PER_CLASS):
    label = CLASSES.index(name)
    return [make_mesh(seed, label + turn * len(CLASSES)) for turn in range(count)]


def extents(mesh):
    return mesh.max(axis=(0, 1)) - mesh.min(axis=(0, 1))


@pytest.fixture(scope="module")
def shapes():
    return make_shapes(len(CLASSES) * SHAPES_PER_CLASS, 256, seed=0)


def test_clouds_and_labels_have_the_promised_shapes_and_types(shapes):
    points, labels = shapes
    assert points.shape == (len(CLASSES) * SHAPES_PER_CLASS, 256, 3)
    assert points.dtype == np.float32
    assert labels.dtype == np.int64
    assert np.isfinite(points).all()


def test_there_are_many_classes_with_distinct_names_and_as_many_shapes_of_each(shapes):
    assert len(set(CLASSES)) == len(CLASSES) >= 14
    assert np.bincount(shapes[1]).tolist() == [SHAPES_PER_CLASS] * len(CLASSES)


def test_a_shape_depends_on_seed_and_index_and_not_on_the_count(shapes):
    points, labels = make_shapes(25, 256, seed=0)
    np.testing.assert_array_equal(points, shapes[0][:25])
    np.testing.assert_array_equal(labels, shapes[1][:25])


def test_another_seed_makes_another_object_of_the_same_class():
    for index in range(len(CLASSES)):
        one, other = extents(make_mesh(0, index)), extents(make_mesh(1, index))
        assert np.abs(one / other - 1).max() > 1e-3


def test_no_shapes_is_an_empty_set():
    assert make_shapes(0, 16, seed=0)[0].shape == (0, 16, 3)


@pytest.mark.parametrize("name", CLASSES)
def test_objects_stand_on_the_ground_and_have_volume(name):
    for mesh in meshes_of(name):
        assert mesh[..., 2].min() == pytest.approx(0.0, abs=1e-12)
        assert extents(mesh).min() > 0.03 * extents(mesh).max()


@pytest.mark.parametrize("name", CLASSES)
def test_objects_of_a_class_differ_in_proportions_and_in_parts(name):
    meshes = meshes_of(name, count=20)
    proportions = np.array([extents(mesh) / extents(mesh).max() for mesh in meshes])
    assert proportions.std(axis=0).max() > 0.04
    assert len({len(mesh) for mesh in meshes}) >= 2


@pytest.mark.parametrize("index", range(len(CLASSES)), ids=CLASSES)
def test_points_lie_on_the_mesh_they_are_drawn_from(shapes, index):
    mesh = make_mesh(0, index)
    solid = mesh[surface_areas(mesh) > 1e-12]
    cloud = shapes[0][index][:24].astype(np.float64)
    pairs = np.repeat(solid, len(cloud), axis=0), np.tile(cloud, (len(solid), 1))
    gaps = np.linalg.norm(trimesh.triangles.closest_point(*pairs) - pairs[1], axis=1)
    nearest = gaps.reshape(len(solid), len(cloud)).min(axis=0)
    assert nearest.max() < 1e-6 * extents(mesh).max()


@pytest.mark.parametrize("name", ["bottle", "lamp", "ladder", "guitar"])
def test_upright_objects_are_taller_than_wide(name):
    for mesh in meshes_of(name):
        _, width, height = extents(mesh)
        assert height > width


@pytest.mark.parametrize("name", ["airplane", "bed", "car"])
def test_what_lies_or_drives_is_longer_than_high(name):
    lengths_over_heights = [extents(mesh)[0] / extents(mesh)[2] for mesh in meshes_of(name)]
    assert np.median(lengths_over_heights) > 1.3


def test_seats_face_forward_so_their_backs_rise_behind():
    for name in ("chair", "sofa"):
        for mesh in meshes_of(name):
            x, _, z = np.moveaxis(mesh.reshape(-1, 3), 1, 0)
            top = z > 0.9 * z.max()
            assert x[top].mean() < (x.min() + x.max()) / 2


def test_faces_of_a_box_get_points_in_proportion_to_their_area():
    size = np.array((1.0, 2.0, 4.0))
    points = sample_surface(box(size, (0, 0, 0)), 30_000, np.random.default_rng(0))
    centered = points - (0, 0, size[2] / 2)
    on_face = np.isclose(np.abs(centered), size / 2, atol=1e-12)
    assert (on_face.sum(axis=1) == 1).all()
    face = 2 * on_face.argmax(axis=1) + (centered[on_face] > 0)
    areas = np.repeat((8.0, 4.0, 2.0), 2)
    expected = areas / areas.sum() * len(points)
    assert chisquare(np.bincount(face, minlength=6), expected).pvalue > 1e-3


def test_points_are_uniform_within_a_triangle():
    triangle = np.array([[(0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)]])
    points = sample_surface(triangle, 20_000, np.random.default_rng(0))
    # The lines joining the middles of the sides cut the triangle into four equal ones.
    x, y = points[:, 0], points[:, 1]
    quarter = np.select([x > 0.5, y > 0.5, x + y < 0.5], [0, 1, 2], default=3)
    assert chisquare(np.bincount(quarter, minlength=4)).pvalue > 1e-3


def test_a_degenerate_triangle_gets_no_points():
    sliver = np.array([[(5.0, 5.0, 5.0), (5.0, 5.0, 5.0), (6.0, 6.0, 6.0)]])
    mesh = np.concatenate((sliver, box((1, 1, 1), (0, 0, 0)), sliver))
    assert sample_surface(mesh, 2_000, np.random.default_rng(0)).max() <= 1.0


@pytest.mark.parametrize(
    ("mesh", "area", "tolerance"),
    [
        (box((1, 2, 3), (7, 8, 9)), 22.0, 1e-12),
        (frustum((-1, 1, 2), (-1, 1, 2), (0, 2)), 24.0, 1e-12),
        (cylinder(1.0, 0.0, 3.0), 8 * np.pi, 0.02),
        (ellipsoid((2, 2, 2), (0, 0, 0)), 16 * np.pi, 0.04),
        (rod((0, 0, 0), (3, 0, 4), np.sqrt(0.5), sides=4), 4 * 5 + 2.0, 1e-12),
    ],
    ids=["box", "frustum", "cylinder", "sphere", "square rod"],
)
def test_solids_have_the_area_of_their_formula(mesh, area, tolerance):
    assert surface_areas(mesh).sum() == pytest.approx(area, rel=tolerance)


def test_a_square_rod_along_an_axis_has_its_faces_along_the_axes():
    bar = rod((0, 0, 0), (0, 0, 5), np.sqrt(0.5), sides=4)
    np.testing.assert_allclose(extents(bar), (1, 1, 5))


def test_a_curved_tube_keeps_its_distance_from_its_path():
    flat = arc(2.0, 0, 180, samples=65)
    path = np.stack((np.zeros(65), flat[:, 0], flat[:, 1]), axis=1)
    skin = tube(path, 0.1, sides=16, capped=False).reshape(-1, 3)
    distance = np.linalg.norm(skin[:, None] - path, axis=2).min(axis=1)
    np.testing.assert_allclose(distance, 0.1, rtol=1e-2)


def test_smoothing_keeps_the_ends_and_stays_within_the_corners():
    corners = np.array([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)])
    line = smooth(corners)
    np.testing.assert_array_equal(line[[0, -1]], corners[[0, -1]])
    assert line.min() >= 0
    assert line.max() <= 1
    assert np.linalg.norm(line - corners[1], axis=1).min() > 0.1
