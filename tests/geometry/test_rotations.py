import math

import pytest
import torch
from scipy.spatial.transform import Rotation

from pc_crvae.geometry import (
    rotate,
    rotation_about_axis,
    rotation_about_z,
    rotation_from_quaternion,
)


def normals(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def families():
    return {
        "z": rotation_about_z(normals(50) * 3),
        "axis": rotation_about_axis(normals(50, 3), normals(50) * 3),
        "quaternion": rotation_from_quaternion(normals(50, 4)),
    }


@pytest.mark.parametrize("family", families())
def test_rotations_are_proper(family):
    rotations = families()[family]
    identity = torch.eye(3, dtype=torch.float64).expand(50, 3, 3)
    torch.testing.assert_close(rotations @ rotations.transpose(1, 2), identity)
    torch.testing.assert_close(torch.linalg.det(rotations), torch.ones(50, dtype=torch.float64))


def test_a_quarter_turn_about_z_takes_x_to_y():
    quarter = rotation_about_z(torch.tensor([math.pi / 2]))
    turned = rotate(torch.tensor([[[1.0, 0, 0], [0, 1, 0], [0, 0, 1]]]), quarter)
    expected = torch.tensor([[[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]]])
    torch.testing.assert_close(turned, expected, rtol=0, atol=1e-6)


def test_rotation_about_an_axis_equals_scipy():
    axes, angles = normals(50, 3), normals(50) * 3
    vectors = angles[:, None] * axes / axes.norm(dim=1, keepdim=True)
    expected = torch.from_numpy(Rotation.from_rotvec(vectors.numpy()).as_matrix())
    torch.testing.assert_close(rotation_about_axis(axes, angles), expected)


def test_rotation_about_the_z_axis_agrees_with_rotation_about_z():
    angles = normals(20)
    up = torch.tensor([0.0, 0.0, 2.0], dtype=torch.float64).expand(20, 3)
    torch.testing.assert_close(rotation_about_axis(up, angles), rotation_about_z(angles))


def test_rotation_from_a_quaternion_equals_scipy():
    quaternions = normals(50, 4)
    real_part_last = quaternions[:, [1, 2, 3, 0]].numpy()
    expected = torch.from_numpy(Rotation.from_quat(real_part_last).as_matrix())
    torch.testing.assert_close(rotation_from_quaternion(quaternions), expected)


def test_rotate_applies_each_matrix_to_column_vectors_of_its_own_cloud():
    points, rotations = normals(50, 4, 3), families()["quaternion"]
    expected = torch.stack([(rotations[b] @ points[b].T).T for b in range(50)])
    torch.testing.assert_close(rotate(points, rotations), expected)


def test_the_angle_zero_is_the_identity_exactly():
    identity = torch.eye(3).expand(5, 3, 3)
    assert torch.equal(rotation_about_z(torch.zeros(5)), identity)
    assert torch.equal(rotation_about_axis(normals(5, 3).float(), torch.zeros(5)), identity)


def test_autocast_does_not_blur_rotations():
    points, angles = normals(5, 30, 3).float(), normals(5).float()
    axes = normals(5, 3).float()
    expected = rotate(points, rotation_about_axis(axes, angles))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        turned = rotate(points, rotation_about_axis(axes, angles))
    assert turned.dtype == torch.float32
    assert torch.equal(turned, expected)


@pytest.mark.parametrize(
    ("function", "shapes"),
    [
        (rotation_about_z, [(2, 1)]),
        (rotation_about_axis, [(2, 3), (3,)]),
        (rotation_about_axis, [(3,), ()]),
        (rotation_from_quaternion, [(2, 3)]),
        (rotate, [(2, 5, 3), (1, 3, 3)]),
        (rotate, [(5, 3), (5, 3, 3)]),
        (rotate, [(2, 5, 2), (2, 3, 3)]),
    ],
)
def test_wrong_shapes_are_refused(function, shapes):
    with pytest.raises(ValueError, match="must be"):
        function(*(torch.zeros(shape) for shape in shapes))


def _by_one_radian(axes):
    return rotation_about_axis(axes, torch.ones(len(axes)))


DEGENERATE = [0.0, 1e-13, 1e-30, 1e26, float("inf"), float("nan")]


@pytest.mark.parametrize("length", DEGENERATE)
@pytest.mark.parametrize("wide", [3, 4])
def test_vectors_without_a_direction_are_refused_in_a_sentence_that_names_the_row(length, wide):
    """They used to give what is no rotation: the identity's cosine, or a matrix of zeros."""
    vectors = torch.ones(3, wide)
    vectors[1] = torch.tensor([length] + [0.0] * (wide - 1))
    function = rotation_from_quaternion if wide == 4 else _by_one_radian
    with pytest.raises(ValueError, match="need a direction, and number 1 is") as refusal:
        function(vectors)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("length", [1e-11, 1e-3, 1e3, 1e17])
def test_the_length_of_an_axis_says_nothing(length):
    axes = normals(5, 3).float()
    angles = normals(5).float()
    expected = rotation_about_axis(axes, angles)
    torch.testing.assert_close(rotation_about_axis(length * axes, angles), expected)


def test_where_values_cannot_be_looked_at_a_vector_without_direction_gives_nan():
    """As on an accelerator, where looking would stall every step; `torch.func` sees no values."""
    quaternions = torch.tensor([[1.0, 0, 0, 0], [0.0, 0, 0, 0]])
    (found,) = torch.func.vmap(rotation_from_quaternion)(quaternions[None])
    assert torch.equal(found[0], torch.eye(3))
    assert found[1].isnan().all()
