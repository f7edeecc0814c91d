import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch_geometric.nn import EdgeConv as GeometricEdgeConv

from benchmarks.textbook.edgeconv import edge_conv
from benchmarks.textbook.models import EdgeConv as TextbookEdgeConv
from pc_crvae.geometry import k_nearest_neighbors
from pc_crvae.models.points import dgcnn
from pc_crvae.models.points.dgcnn import DGCNN, EdgeConv

seeds = st.integers(0, 2**31)


def _edge_conv(in_features: int, out_features: int, batch_norm: bool, training: bool) -> EdgeConv:
    """An edge convolution whose batch-norm scales are of both signs and whose statistics moved."""
    convolution = EdgeConv(in_features, out_features, batch_norm=batch_norm).double()
    if batch_norm:
        with torch.no_grad():
            for tensor in (
                convolution.norm.weight,
                convolution.norm.bias,
                convolution.norm.running_mean,
            ):
                tensor.normal_()
            convolution.norm.running_var.uniform_(0.5, 2)
    return convolution.train(training)


def _torch_batch_norm(convolution: EdgeConv) -> nn.Module:
    """torch's own batch-norm in the state of the convolution's, or nothing where it has none."""
    if isinstance(convolution.norm, nn.Identity):
        return nn.Identity()
    norm = nn.BatchNorm1d(convolution.norm.num_features).double()
    norm.load_state_dict(convolution.norm.state_dict())
    return norm.train(convolution.training)


def _geometric_edge_conv(convolution: EdgeConv) -> GeometricEdgeConv:
    """torch-geometric's convolution in the same state; its edges are [x_i ; x_j - x_i]."""
    ours = convolution.linear
    linear = nn.Linear(ours.in_features, ours.out_features, bias=ours.bias is not None).double()
    norm = _torch_batch_norm(convolution)
    state = {name: tensor.clone() for name, tensor in norm.state_dict().items()}
    theirs = GeometricEdgeConv(nn.Sequential(linear, norm, nn.LeakyReLU(0.2)), aggr="max")
    norm.load_state_dict(state)  # the constructor resets what it is given
    with torch.no_grad():
        difference_weight, center_weight = ours.weight.chunk(2, dim=1)
        linear.weight.copy_(torch.cat([center_weight, difference_weight], dim=1))
        if ours.bias is not None:
            linear.bias.copy_(ours.bias)
    return theirs


def _edge_index(neighbors: Tensor) -> Tensor:
    """(2, B * N * k): from the neighbour (source) to the point (target), clouds one by one."""
    batch, count, k = neighbors.shape
    targets = torch.arange(batch * count).repeat_interleave(k)
    sources = neighbors + count * torch.arange(batch).view(-1, 1, 1)
    return torch.stack([sources.flatten(), targets])


def _random_graph(
    seed: int, batch: int, count: int, features: int, k: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Features, k distinct random neighbours a point, and weights for a loss on 5 features."""
    torch.manual_seed(seed)
    neighbors = torch.rand(batch, count, count).argsort(dim=2)[..., :k]
    values = torch.randn(batch, count, features, dtype=torch.float64)
    return values, neighbors, torch.randn(batch, count, 5, dtype=torch.float64)


graphs = st.builds(
    _random_graph,
    seeds,
    batch=st.integers(1, 3),
    count=st.integers(4, 9),
    features=st.integers(1, 6),
    k=st.integers(1, 4),
)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("batch_norm", [True, False])
@settings(deadline=None, max_examples=15)
@given(graph=graphs)
def test_edge_conv_equals_torch_geometrics_on_the_same_edges(graph, batch_norm, training):
    features, neighbors, weights = graph
    ours = _edge_conv(features.shape[2], 5, batch_norm, training)
    theirs = _geometric_edge_conv(ours)

    x = features.clone().requires_grad_()
    output = ours(x, neighbors)
    (output * weights).sum().backward()

    y = features.clone().requires_grad_()
    expected = theirs(y.flatten(0, 1), _edge_index(neighbors)).reshape(output.shape)
    (expected * weights).sum().backward()

    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(x.grad, y.grad)
    linear, norm, _ = theirs.nn
    center_gradient, difference_gradient = linear.weight.grad.chunk(2, dim=1)
    torch.testing.assert_close(
        ours.linear.weight.grad, torch.cat([difference_gradient, center_gradient], dim=1)
    )
    if batch_norm:
        torch.testing.assert_close(ours.norm.weight.grad, norm.weight.grad)
        torch.testing.assert_close(ours.norm.bias.grad, norm.bias.grad)
        torch.testing.assert_close(ours.norm.running_mean, norm.running_mean)
        torch.testing.assert_close(ours.norm.running_var, norm.running_var)
    else:
        torch.testing.assert_close(ours.linear.bias.grad, linear.bias.grad)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("batch_norm", [True, False])
@settings(deadline=None, max_examples=10)
@given(graph=graphs)
def test_edge_conv_equals_the_papers_formula(graph, batch_norm, training):
    features, neighbors, weights = graph
    convolution = _edge_conv(features.shape[2], 5, batch_norm, training)
    normalize = _torch_batch_norm(convolution)

    x = features.clone().requires_grad_()
    output = convolution(x, neighbors)
    y = features.clone().requires_grad_()
    expected = edge_conv(
        y, neighbors, convolution.linear.weight, convolution.linear.bias, normalize
    )
    torch.testing.assert_close(output, expected)

    (gradient,) = torch.autograd.grad((output * weights).sum(), x)
    (expected_gradient,) = torch.autograd.grad((expected * weights).sum(), y)
    torch.testing.assert_close(gradient, expected_gradient)


def test_edge_conv_of_coincident_points_is_that_of_one_point():
    convolution = _edge_conv(3, 5, batch_norm=True, training=False)
    point = torch.randn(1, 1, 3, dtype=torch.float64)
    alone = convolution(point, torch.zeros(1, 1, 1, dtype=torch.int64))
    cloud = point.expand(1, 6, 3)
    together = convolution(cloud, k_nearest_neighbors(cloud, 4))
    torch.testing.assert_close(together, alone.expand(1, 6, 5))


@pytest.mark.parametrize("graph", ["dynamic", "static"])
@pytest.mark.parametrize("training", [True, False])
@settings(deadline=None, max_examples=8)
@given(seed=seeds, count=st.integers(8, 30))
def test_dgcnn_ignores_the_order_of_the_points(seed, count, training, graph):
    torch.manual_seed(seed)
    encoder = DGCNN((6, 8), embedding=12, k=5, pooling="max_mean", graph=graph)
    encoder = encoder.double().train(training)
    points = torch.randn(3, count, 3, dtype=torch.float64)
    shuffled = points[:, torch.randperm(count)]
    torch.testing.assert_close(encoder(shuffled), encoder(points), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(
    ("graph", "searched_dimensions"), [("dynamic", [3, 6, 8]), ("static", [3])]
)
def test_the_graph_is_rebuilt_from_features_only_where_it_is_dynamic(
    graph, searched_dimensions, monkeypatch
):
    searched = []

    def recording_search(points: Tensor, k: int) -> Tensor:
        searched.append(points.shape[2])
        return k_nearest_neighbors(points, k)

    monkeypatch.setattr(dgcnn, "k_nearest_neighbors", recording_search)
    DGCNN((6, 8, 10), embedding=12, k=4, graph=graph)(torch.randn(2, 9, 3))
    assert searched == searched_dimensions


def test_max_mean_pooling_puts_the_mean_after_the_maximum():
    encoder = DGCNN((6, 8), embedding=12, k=4, pooling="max_mean").eval()
    maximum_only = DGCNN((6, 8), embedding=12, k=4).eval()
    maximum_only.load_state_dict(encoder.state_dict())
    points = torch.randn(2, 20, 3)
    per_point: list[Tensor] = []
    encoder.embedding.register_forward_hook(lambda *call: per_point.append(call[-1]))

    pooled = encoder(points)

    assert pooled.shape == (2, encoder.out_features)
    assert encoder.out_features == 2 * maximum_only.out_features == 24
    torch.testing.assert_close(pooled[:, :12], maximum_only(points))
    torch.testing.assert_close(pooled[:, 12:], per_point[0].mean(dim=1))


def test_the_embedding_sees_every_layers_features():
    encoder = DGCNN((6, 8, 10), embedding=12, k=4)
    assert encoder.embedding.linear.in_features == 6 + 8 + 10


def test_more_neighbors_than_points_are_refused():
    with pytest.raises(ValueError, match="19 points are too small: this encoder needs 20"):
        DGCNN(k=20)(torch.randn(2, 19, 3))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"widths": ()}, "widths must be positive"),
        ({"widths": (64, 0)}, "widths must be positive"),
        ({"k": 0}, "k must be positive"),
        ({"embedding": -1}, "embedding must be positive"),
        ({"pooling": "mean"}, "pooling must be max or max_mean, got mean"),
        ({"graph": "fixed"}, "graph must be dynamic or static, got fixed"),
    ],
)
def test_impossible_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        DGCNN(**arguments)


@pytest.mark.parametrize("only_differences", [False, True])
def test_autocast_costs_an_edge_convolution_no_more_digits_than_the_textbooks(only_differences):
    torch.manual_seed(0)
    points = torch.randn(2, 1024, 3)
    points = points / points.norm(dim=2, keepdim=True)
    neighbors = k_nearest_neighbors(points, 20)
    convolution = EdgeConv(3, 64)
    if only_differences:
        with torch.no_grad():
            convolution.linear.weight[:, 3:] = 0
    textbook = TextbookEdgeConv(3, 64)
    textbook.load_state_dict(convolution.state_dict())
    exact = convolution(points, neighbors)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours = convolution(points, neighbors)
        theirs = textbook(points, neighbors)
    error, their_error = (ours - exact).square().mean(), (theirs - exact).square().mean()
    assert error < 1.2 * their_error
