import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pc_crvae.geometry import k_nearest_neighbors
from pc_crvae.models.points.foldingnet import FoldingNetEncoder, neighborhood_covariance


def _encode_point_by_point(encoder: FoldingNetEncoder, cloud: Tensor) -> Tensor:
    """The paper's encoder for one cloud (N, 3), written as loops over points."""
    distances = (cloud.unsqueeze(0) - cloud.unsqueeze(1)).norm(dim=2)
    neighborhoods = [row.argsort()[: encoder.k].tolist() for row in distances]
    features = []
    for point, neighborhood in zip(cloud, neighborhoods, strict=True):
        covariance = np.cov(cloud[neighborhood].numpy().T, bias=True)
        features.append(torch.cat([point, torch.from_numpy(covariance).flatten()]))
    for layer in encoder.perceptrons:
        features = [torch.relu(layer.linear(feature)) for feature in features]
    for layer in encoder.graph_layers:
        pooled = [torch.stack([features[j] for j in js]).amax(dim=0) for js in neighborhoods]
        features = [torch.relu(layer.linear(feature)) for feature in pooled]
    return torch.stack(features).amax(dim=0)


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 2**31), count=st.integers(4, 20), k=st.integers(2, 4))
def test_the_encoder_equals_the_paper_written_as_loops(seed, count, k):
    torch.manual_seed(seed)
    encoder = FoldingNetEncoder(k, (5, 6), (7, 8)).double()
    points = torch.randn(2, count, 3, dtype=torch.float64)
    expected = torch.stack([_encode_point_by_point(encoder, cloud) for cloud in points])
    torch.testing.assert_close(encoder(points), expected)


@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("covariance", [True, False])
@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 2**31), count=st.integers(6, 30))
def test_the_encoder_ignores_the_order_of_the_points(seed, count, covariance, batch_norm):
    torch.manual_seed(seed)
    encoder = FoldingNetEncoder(5, (6, 8), (10, 12), covariance, batch_norm).double()
    points = torch.randn(3, count, 3, dtype=torch.float64)
    shuffled = points[:, torch.randperm(count)]
    torch.testing.assert_close(encoder(shuffled), encoder(points), rtol=1e-8, atol=1e-9)


def test_covariance_is_that_of_the_neighbors_about_their_mean():
    points = torch.randn(2, 12, 3, dtype=torch.float64)
    neighbors = k_nearest_neighbors(points, 5)
    covariance = neighborhood_covariance(points, neighbors)
    for b in range(2):
        for i in range(12):
            expected = np.cov(points[b, neighbors[b, i]].numpy().T, bias=True)
            np.testing.assert_allclose(covariance[b, i].numpy(), expected, atol=1e-14)


def test_covariance_ignores_where_the_cloud_is():
    points = torch.randn(1, 12, 3)
    neighbors = k_nearest_neighbors(points, 5)
    moved = neighborhood_covariance(points + 100, neighbors)
    torch.testing.assert_close(moved, neighborhood_covariance(points, neighbors), rtol=0, atol=1e-4)


def test_a_collapsed_cloud_has_finite_features_and_gradients():
    points = torch.zeros(2, 20, 3, requires_grad=True)
    features = FoldingNetEncoder(16, (8,), (8, 16))(points)
    features.sum().backward()
    assert features.isfinite().all()
    assert points.grad.isfinite().all()


def test_the_covariance_adds_nine_inputs():
    assert FoldingNetEncoder().perceptrons[0].linear.in_features == 12
    assert FoldingNetEncoder(covariance=False).perceptrons[0].linear.in_features == 3


def test_the_last_graph_width_is_the_number_of_features():
    encoder = FoldingNetEncoder(4, (8,), (8, 24))
    assert encoder.out_features == 24
    assert encoder(torch.randn(2, 5, 3)).shape == (2, 24)


def test_more_neighbors_than_points_are_refused():
    with pytest.raises(ValueError, match="15 points are too small: this encoder needs 16"):
        FoldingNetEncoder()(torch.randn(2, 15, 3))


@pytest.mark.parametrize("argument", [{"k": 0}, {"widths": ()}, {"graph_widths": (128, 0)}])
def test_sizes_must_be_positive(argument):
    (name,) = argument
    with pytest.raises(ValueError, match=f"FoldingNetEncoder: {name} must be positive"):
        FoldingNetEncoder(**argument)
