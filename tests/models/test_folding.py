import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from benchmarks.textbook.folding import folding_decoder
from pc_crvae.models.points.folding import FoldingDecoder, source_points


def _linear_layers(fold: nn.Module) -> list[nn.Linear]:
    return [layer for layer in fold.modules() if isinstance(layer, nn.Linear)]


@pytest.mark.parametrize("source", ["plane", "sphere", "gaussian"])
@settings(deadline=None, max_examples=10)
@given(
    seed=st.integers(0, 2**31),
    widths=st.lists(st.integers(1, 9), min_size=1, max_size=3),
    folds=st.integers(1, 3),
)
def test_it_equals_the_textbook_that_copies_the_codeword_to_every_point(
    source, seed, widths, folds
):
    torch.manual_seed(seed)
    decoder = FoldingDecoder(4, source, points=12, widths=widths, folds=folds).double()
    latent = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(3, 12, 3, dtype=torch.float64)

    decoded = decoder(latent)
    expected = folding_decoder(
        latent, decoder.source_points, [_linear_layers(fold) for fold in decoder.folds]
    )
    torch.testing.assert_close(decoded, expected)

    inputs = [latent, *decoder.parameters()]
    gradients = torch.autograd.grad((decoded * weights).sum(), inputs)
    expected_gradients = torch.autograd.grad((expected * weights).sum(), inputs)
    for gradient, expected_gradient in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(gradient, expected_gradient)


def test_the_default_widths_are_the_papers():
    decoder = FoldingDecoder(512)
    shapes = [[tuple(layer.weight.shape) for layer in _linear_layers(f)] for f in decoder.folds]
    assert shapes == [
        [(512, 514), (512, 512), (3, 512)],
        [(512, 515), (512, 512), (3, 512)],
    ]
    assert decoder(torch.randn(2, 512)).shape == (2, 2025, 3)
    assert decoder.out_points == 2025


@pytest.mark.parametrize(
    ("count", "rows", "columns"), [(2025, 45, 45), (484, 22, 22), (2048, 32, 64), (6, 2, 3)]
)
def test_the_plane_is_the_grid_nearest_to_a_square(count, rows, columns):
    grid = source_points("plane", count)
    first, second = grid[:, 0].unique(), grid[:, 1].unique()
    assert (len(first), len(second)) == (rows, columns)
    assert len(grid.unique(dim=0)) == count
    for axis in (first, second):
        torch.testing.assert_close(axis[[0, -1]], torch.tensor([-0.3, 0.3]))
        torch.testing.assert_close(axis.diff(), axis.diff().mean().expand(len(axis) - 1))


@pytest.mark.parametrize("count", [1, 2, 1021])
def test_a_number_of_points_that_does_not_factor_makes_no_plane(count):
    with pytest.raises(ValueError, match=f"{count} points make no grid"):
        FoldingDecoder(8, "plane", points=count)


@pytest.mark.parametrize("count", [1, 100, 2025])
def test_the_sphere_is_covered_evenly(count):
    sphere = source_points("sphere", count)
    assert sphere.shape == (count, 3)
    torch.testing.assert_close(sphere.norm(dim=1), torch.ones(count))
    if count > 1:
        # Discs around the points share out the area 4 pi: a perfect hexagonal packing would
        # keep them 3.8 / sqrt(count) apart; this lattice reaches four fifths of that.
        gaps = torch.cdist(sphere, sphere).fill_diagonal_(torch.inf).amin(dim=1)
        assert gaps.min() > 0.75 * 3.8 / count**0.5
        assert sphere.mean(dim=0).norm() < 0.02


def test_the_gaussian_source_is_one_fixed_standard_normal_draw():
    torch.manual_seed(0)
    first = source_points("gaussian", 2025)
    torch.manual_seed(1)
    assert torch.equal(source_points("gaussian", 2025), first)
    assert first.mean(dim=0).abs().max() < 0.1
    assert (first.std(dim=0) - 1).abs().max() < 0.1


@pytest.mark.parametrize("source", ["plane", "sphere", "gaussian"])
def test_a_checkpoint_holds_the_source_points(source):
    decoder = FoldingDecoder(4, source, points=12, widths=(8,))
    other = FoldingDecoder(4, source, points=12, widths=(8,))
    other.source_points.zero_()
    other.load_state_dict(decoder.state_dict())
    latent = torch.randn(2, 4)
    assert torch.equal(other(latent), decoder(latent))


def test_every_cloud_is_decoded_by_itself():
    decoder = FoldingDecoder(4, points=12, widths=(8, 8))
    latent = torch.randn(5, 4)
    alone = torch.cat([decoder(row) for row in latent.split(1)])
    torch.testing.assert_close(decoder(latent), alone)


@pytest.mark.parametrize("folds", [1, 2])
def test_points_are_in_full_precision_under_autocast(folds):
    decoder = FoldingDecoder(4, points=12, widths=(8, 8), folds=folds)
    with torch.autocast("cpu", torch.bfloat16):
        points = decoder(torch.randn(2, 4))
    assert points.dtype == torch.float32
    assert not torch.equal(points, points.bfloat16().float())  # not rounded on the way


def test_latents_of_another_shape_are_refused():
    decoder = FoldingDecoder(4, points=12, widths=(8,))
    for latent in (torch.zeros(2, 5), torch.zeros(4)):
        with pytest.raises(ValueError, match=r"latent must have shape \(B, 4\)"):
            decoder(latent)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"source": "cube"}, "source must be plane, sphere or gaussian, got cube"),
        ({"points": 0}, "points must be positive"),
        ({"widths": ()}, "widths must be positive"),
        ({"folds": 0}, "folds must be positive"),
        ({"latent_dim": 0}, "latent_dim must be positive"),
    ],
)
def test_impossible_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        FoldingDecoder(**{"latent_dim": 8, **arguments})
