import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pc_crvae.models.points.pointnet import PointNet


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("batch_norm", [True, False])
@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 2**31), count=st.integers(1, 40))
def test_pointnet_ignores_the_order_of_the_points(seed, count, batch_norm, training):
    torch.manual_seed(seed)
    encoder = PointNet((8, 16), batch_norm=batch_norm).double().train(training)
    points = torch.randn(3, count, 3, dtype=torch.float64)
    shuffled = points[:, torch.randperm(count)]
    torch.testing.assert_close(encoder(shuffled), encoder(points), rtol=1e-8, atol=1e-9)


def test_repeating_points_changes_nothing_outside_training():
    encoder = PointNet((8, 16)).eval()
    points = torch.randn(2, 10, 3)
    torch.testing.assert_close(encoder(points.repeat(1, 3, 1)), encoder(points))


def test_each_feature_is_the_largest_that_any_point_alone_would_give():
    encoder = PointNet((8, 16)).eval()
    points = torch.randn(1, 10, 3)
    alone = encoder(points.transpose(0, 1))  # ten clouds of one point
    torch.testing.assert_close(encoder(points), alone.amax(dim=0, keepdim=True))


def test_the_last_width_is_the_number_of_features():
    encoder = PointNet((8, 24))
    assert encoder.out_features == 24
    assert encoder(torch.randn(2, 5, 3)).shape == (2, 24)


@pytest.mark.parametrize("shape", [(5, 3), (2, 5, 2), (2, 0, 3)])
def test_what_is_not_a_batch_of_clouds_is_refused(shape):
    with pytest.raises(ValueError, match="clouds"):
        PointNet((8,))(torch.zeros(shape))


@pytest.mark.parametrize("widths", [(), (64, 0), (-1,)])
def test_widths_must_be_positive(widths):
    with pytest.raises(ValueError, match="PointNet: widths must be positive"):
        PointNet(widths)
