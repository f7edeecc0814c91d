import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.turned_clouds import clouds, turns
from pc_crvae.geometry import principal_frames, rotate


@pytest.mark.parametrize(("how", "count"), [("z", 2), ("so3", 4)])
@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**31))
def test_frames_are_distinct_rotations_of_principal_axes(seed, how, count):
    points = clouds(seed)
    frames = principal_frames(points, how)
    assert frames.shape == (3, count, 3, 3)
    identity = torch.eye(3, dtype=torch.float64).expand(3, count, 3, 3)
    torch.testing.assert_close(frames.transpose(2, 3) @ frames, identity)
    torch.testing.assert_close(torch.linalg.det(frames), torch.ones(3, count, dtype=torch.float64))
    if how == "z":
        torch.testing.assert_close(frames[..., 2], identity[..., 2], rtol=0, atol=0)
    shown = points.unsqueeze(1) @ frames
    centered = shown - shown.mean(dim=2, keepdim=True)
    covariance = centered.transpose(2, 3) @ centered
    size = 2 if how == "z" else 3
    block = covariance[..., :size, :size]
    diagonal = torch.diag_embed(block.diagonal(dim1=-2, dim2=-1))
    torch.testing.assert_close(block, diagonal, rtol=0, atol=1e-9)
    apart = (frames.unsqueeze(1) - frames.unsqueeze(2)).abs().amax(dim=(3, 4))
    assert (apart + 9 * torch.eye(count)).min() > 0.5


@pytest.mark.parametrize("how", ["z", "so3"])
@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**31))
def test_frames_turn_with_the_cloud(seed, how):
    points, rotations = clouds(seed), turns(how, seed)
    turned = principal_frames(rotate(points, rotations), how)
    expected = rotations.unsqueeze(1) @ principal_frames(points, how)
    # Their order means nothing: each is one of the others.
    apart = (turned.unsqueeze(1) - expected.unsqueeze(2)).abs().amax(dim=(3, 4))
    assert apart.amin(dim=2).max() < 1e-6


@pytest.mark.parametrize("how", ["z", "so3"])
@pytest.mark.parametrize("points", [torch.zeros(2, 5, 3), torch.ones(1, 1, 3)])
def test_clouds_without_axes_have_frames_all_the_same(points, how):
    frames = principal_frames(points, how)
    assert frames.dtype == torch.float32
    torch.testing.assert_close(torch.linalg.det(frames), torch.ones(frames.shape[:2]))


def test_no_gradient_passes_through_a_frame():
    points = clouds(0).requires_grad_()
    assert not principal_frames(points, "so3").requires_grad


@pytest.mark.parametrize("group", ["z", "so3"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e200])
def test_clouds_without_finite_squares_are_refused_in_a_sentence(group, value):
    points = torch.randn(2, 5, 3, dtype=torch.float64)
    points[1, 2, 0] = value
    with pytest.raises(ValueError, match="need clouds of finite points"):
        principal_frames(points, group)


@pytest.mark.parametrize("shape", [(2, 0, 3), (5, 3), (2, 5, 2)])
def test_shapes_that_are_no_clouds_have_no_frames(shape):
    with pytest.raises(ValueError, match=r"clouds must be \(B, N, 3\)"):
        principal_frames(torch.zeros(shape), "so3")
