"""The package's models and operators are the textbook's functions, computed by other means."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmarks.textbook import models as textbook
from helpers.kernel_choice import forced
from pc_crvae.config import PointModelConfig, parse_config
from pc_crvae.geometry import (
    chamfer_distance,
    farthest_point_sampling,
    k_nearest_neighbors,
)
from pc_crvae.models.points import DGCNN, FoldingDecoder, FoldingNetEncoder, PointNet
from pc_crvae.models.points.vae import PointVAE
from pc_crvae.objectives.base import AutoEncoding, SinglePass
from pc_crvae.randomness.draws import Draws, keyed_generator

TOLERANCE = 1e-9
"""Of a float64 tensor's largest entry."""


@pytest.fixture(params=["fast", pytest.param("reference", marks=pytest.mark.slow)], autouse=True)
def _kernels(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test here holds whichever kernels serve."""
    with forced(request.param):
        yield


PAIRS = {
    "pointnet": (PointNet, textbook.PointNet),
    "dgcnn": (DGCNN, textbook.DGCNN),
    "foldingnet": (FoldingNetEncoder, textbook.FoldingNetEncoder),
}
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("pointnet", {"batch_norm": True}),
    ("pointnet", {"batch_norm": False}),
    ("pointnet", {"widths": (16,)}),
    ("dgcnn", {"batch_norm": True}),
    ("dgcnn", {"batch_norm": False}),
    ("dgcnn", {"pooling": "max_mean"}),
    ("dgcnn", {"pooling": "max_mean", "batch_norm": False}),
    ("dgcnn", {"graph": "static"}),
    ("dgcnn", {"k": 1}),
    ("foldingnet", {"batch_norm": True}),
    ("foldingnet", {"batch_norm": False}),
    ("foldingnet", {"covariance": False}),
]


def assert_same(ours: Tensor, theirs: Tensor, what: str) -> None:
    """Equality to `TOLERANCE` of the largest entry, as a sum of many terms has it."""
    scale = float(theirs.detach().abs().max())
    torch.testing.assert_close(
        ours.double(),
        theirs.double(),
        rtol=0,
        atol=TOLERANCE * scale + 1e-14,
        msg=lambda m: f"{what}: {m}",
    )


def scramble_batch_norms(model: nn.Module) -> None:
    """Scales of both signs, shifts, and running statistics that have moved."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            with torch.no_grad():
                signs = torch.where(torch.rand_like(module.weight) < 0.4, -1.0, 1.0)
                module.weight.uniform_(0.5, 1.5).mul_(signs)
                module.bias.normal_(std=0.5)
                module.running_mean.normal_(std=0.1)
                module.running_var.uniform_(0.5, 2)


def assert_same_state(ours: nn.Module, theirs: nn.Module) -> None:
    """All gradients, and all running statistics."""
    expected = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        assert parameter.grad is not None, name
        assert_same(parameter.grad, expected[name].grad, f"gradient of {name}")
    buffers = dict(theirs.named_buffers())
    for name, buffer in ours.named_buffers():
        assert_same(buffer, buffers[name], name)


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize(
    ("name", "options"), VARIANTS, ids=[f"{name}-{options}" for name, options in VARIANTS]
)
def test_an_encoder_is_the_textbooks(name, options, training):
    torch.manual_seed(0)
    ours, theirs = (kind(**options).double() for kind in PAIRS[name])
    scramble_batch_norms(ours)
    theirs.load_state_dict(ours.state_dict())
    clouds = torch.randn(3, 70, 3, dtype=torch.float64)
    ours_points, theirs_points = (clouds.clone().requires_grad_() for _ in range(2))
    weights = torch.randn(3, ours.out_features, dtype=torch.float64)

    ours_codes = ours.train(training)(ours_points)
    theirs_codes = theirs.train(training)(theirs_points)
    (ours_codes * weights).sum().backward()
    (theirs_codes * weights).sum().backward()

    assert_same(ours_codes, theirs_codes, "codes")
    assert_same(ours_points.grad, theirs_points.grad, "gradient of the points")
    assert_same_state(ours, theirs)


@pytest.mark.parametrize("folds", [1, 2, 3])
@pytest.mark.parametrize("widths", [(24,), (24, 32), (24, 32, 16)])
def test_the_folding_decoder_is_the_textbooks(folds, widths):
    torch.manual_seed(0)
    ours = FoldingDecoder(10, points=36, widths=widths, folds=folds).double()
    theirs = textbook.FoldingDecoder(10, points=36, widths=widths, folds=folds).double()
    theirs.load_state_dict(ours.state_dict())
    latent = torch.randn(3, 10, dtype=torch.float64)
    ours_latent, theirs_latent = (latent.clone().requires_grad_() for _ in range(2))
    weights = torch.randn(3, 36, 3, dtype=torch.float64)

    ours_points, theirs_points = ours(ours_latent), theirs(theirs_latent)
    (ours_points * weights).sum().backward()
    (theirs_points * weights).sum().backward()

    assert_same(ours_points, theirs_points, "points")
    assert_same(ours_latent.grad, theirs_latent.grad, "gradient of the latent")
    assert_same_state(ours, theirs)


@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("name", PAIRS)
def test_a_training_step_of_an_auto_encoder_is_the_textbooks(name, batch_norm):
    torch.manual_seed(0)
    config = _model_config(name, batch_norm)
    ours = PointVAE(config, posterior="code").double()
    scramble_batch_norms(ours)
    theirs = textbook.AutoEncoder(
        PAIRS[name][1](batch_norm=batch_norm),
        textbook.FoldingDecoder(32, points=81, widths=(48, 48)),
        latent_dim=32,
        head_widths=(64,),
    ).double()
    theirs.load_state_dict(ours.state_dict())
    clouds = torch.randn(4, 64, 3, dtype=torch.float64)
    # Not Adam, which blows rounding in a small gradient up to a step like any other.
    optimizers = [torch.optim.SGD(model.parameters(), lr=1e-3) for model in (ours, theirs)]

    # Two steps, so that the second sees what the first did to parameters and statistics.
    objective = SinglePass(ours, AutoEncoding()).train()
    theirs.train()
    for _ in range(2):
        terms = objective(clouds, Draws(keyed_generator("textbook"), len(clouds)))
        distances = theirs(clouds)
        for model in (ours, theirs):
            model.zero_grad()
        (-terms["objective"].mean()).backward()
        distances.mean().backward()
        assert_same(-terms["objective"], distances, "distances")
        assert_same_state(ours, theirs)
        for optimizer in optimizers:
            optimizer.step()


def _model_config(name: str, batch_norm: bool) -> PointModelConfig:
    model = {
        "encoder": {"name": name, "batch_norm": batch_norm},
        "head": {"widths": [64]},
        "latent_dim": 32,
        "decoder": {"name": "folding", "points": 81, "widths": [48, 48]},
        "likelihood": {"scale": 1.0},
    }
    return parse_config({"model": model}, "the test").model


@pytest.mark.parametrize("form", [textbook.chamfer_distance, textbook.chamfer_distance_by_cdist])
def test_the_chamfer_distance_and_its_gradients_are_the_textbooks(form):
    torch.manual_seed(0)
    clouds = [torch.randn(3, count, 3, dtype=torch.float64) for count in (90, 70)]
    ours = [cloud.clone().requires_grad_() for cloud in clouds]
    theirs = [cloud.clone().requires_grad_() for cloud in clouds]
    distance, expected = chamfer_distance(*ours), form(*theirs)
    distance.square().sum().backward()
    expected.square().sum().backward()
    assert_same(distance, expected, "distance")
    for mine, other in zip(ours, theirs, strict=True):
        assert_same(mine.grad, other.grad, "gradient")


@pytest.mark.parametrize("dimensions", [3, 64])
def test_the_nearest_neighbors_are_the_textbooks(dimensions):
    torch.manual_seed(0)
    points = torch.randn(3, 90, dimensions, dtype=torch.float64)
    ours, theirs = k_nearest_neighbors(points, 20), textbook.k_nearest_neighbors(points, 20)
    torch.testing.assert_close(ours.sort(dim=2).values, theirs.sort(dim=2).values)


def test_the_farthest_points_are_the_textbooks():
    torch.manual_seed(0)
    points = torch.randn(3, 90, 3, dtype=torch.float64)
    torch.testing.assert_close(
        farthest_point_sampling(points, 40), textbook.farthest_point_sampling(points, 40)
    )
