import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.turned_clouds import clouds, turns
from pc_crvae.config import PointModelConfig
from pc_crvae.geometry import principal_frames, rotate, rotation_about_z
from pc_crvae.models.points import (
    DGCNN,
    FoldingNetEncoder,
    FrameAveraged,
    OctantPointNet,
    PointNet,
)
from pc_crvae.models.points.vae import PointVAE

ENCODERS = {
    "pointnet": lambda: PointNet((8, 16)),
    "dgcnn": lambda: DGCNN((8, 8), embedding=16, k=4),
    "foldingnet": lambda: FoldingNetEncoder(k=4, widths=(8,), graph_widths=(8, 16)),
    "octant_pointnet": lambda: OctantPointNet((0.1, 0.3), widths=(8, 16), region_width=2),
}


@pytest.mark.parametrize("how", ["z", "so3"])
@pytest.mark.parametrize("name", ENCODERS)
@settings(deadline=None, max_examples=5)
@given(seed=st.integers(0, 2**31))
def test_turns_of_the_group_change_nothing(seed, name, how):
    torch.manual_seed(seed)
    encoder = ENCODERS[name]().double().eval()
    averaged = FrameAveraged(encoder, how)
    points, rotations = clouds(seed), turns(how, seed)
    turned = rotate(points, rotations)
    torch.testing.assert_close(averaged(turned), averaged(points), rtol=1e-6, atol=1e-7)
    assert (encoder(turned) - encoder(points)).abs().max() > 1e-3


def test_turns_that_are_not_of_the_group_do_matter():
    averaged = FrameAveraged(ENCODERS["pointnet"]().double().eval(), "z")
    points = clouds(0)
    assert (averaged(rotate(points, turns("so3", 0))) - averaged(points)).abs().max() > 1e-2


def test_exactly_equal_axes_are_told_apart_by_nothing():
    """What the docstring excepts: the corners of a cube do not say where its axes are."""
    corners = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 3).double().unsqueeze(0)
    averaged = FrameAveraged(PointNet((8, 16)).double().eval(), "z")
    turned = rotate(corners, rotation_about_z(torch.tensor([0.5], dtype=torch.float64)))
    assert (averaged(turned) - averaged(corners)).abs().max() > 1e-3


@pytest.mark.parametrize("training", [True, False])
def test_features_are_means_over_the_frames(training):
    averaged = FrameAveraged(PointNet((8, 16), batch_norm=not training).double(), "so3")
    averaged.train(training)
    points = clouds(1)
    frames = principal_frames(points, "so3")
    alone = [averaged.encoder(points @ frames[:, place]) for place in range(4)]
    torch.testing.assert_close(averaged(points), torch.stack(alone).mean(dim=0))


@pytest.mark.parametrize("group", ["z", "so3"])
@pytest.mark.parametrize("training", [True, False])
def test_frames_that_are_encoded_together_are_those_encoded_one_by_one(training, group):
    averaged = FrameAveraged(ENCODERS["octant_pointnet"]().double(), group).train(training)
    points = clouds(1).requires_grad_()
    together = averaged(points)
    found = torch.autograd.grad(together.square().sum(), [points, *averaged.parameters()])
    framed = averaged.framed(points)
    one_by_one = averaged.encoder(framed.flatten(end_dim=1))
    mean = one_by_one.reshape(*framed.shape[:2], -1).mean(dim=1)
    torch.testing.assert_close(together, mean)
    expected = torch.autograd.grad(mean.square().sum(), [points, *averaged.parameters()])
    torch.testing.assert_close(found, expected)


def test_the_order_of_the_points_changes_nothing():
    averaged = FrameAveraged(PointNet((8, 16)).double().eval(), "so3")
    points = clouds(2)
    shuffled = points[:, torch.randperm(points.shape[1])]
    torch.testing.assert_close(averaged(shuffled), averaged(points), rtol=1e-6, atol=1e-8)


def test_a_model_is_built_with_frames_saved_and_made_again():
    values = {
        "encoder": {"name": "pointnet", "widths": [8, 16]},
        "frames": "so3",
        "latent_dim": 4,
        "decoder": {"name": "fully_connected", "points": 16, "widths": [8]},
    }
    config = PointModelConfig.model_validate(values, strict=False)
    model = PointVAE(config, points=40).double().eval()
    points = clouds(3)
    turned = model.posterior(rotate(points, turns("so3", 3)))
    torch.testing.assert_close(turned.mean, model.posterior(points).mean, rtol=1e-6, atol=1e-7)
    again = PointVAE.from_description(
        PointVAE.Description.model_validate_json(json.dumps(model.description()))
    )
    assert isinstance(again.encoder, FrameAveraged)
    assert config.passes_of_frames == principal_frames(points, "so3").shape[1]
    again.double().load_state_dict(model.state_dict())
    torch.testing.assert_close(again.eval().posterior(points).mean, model.posterior(points).mean)


def test_gradients_reach_the_weights_and_the_points():
    averaged = FrameAveraged(PointNet((8, 16)).double(), "z")
    points = clouds(4).requires_grad_()
    averaged(points).square().sum().backward()
    assert points.grad.abs().sum() > 0
    assert all(weight.grad.abs().sum() > 0 for weight in averaged.parameters())


@pytest.mark.parametrize("shape", [(5, 3), (2, 5, 2), (2, 0, 3)])
def test_what_is_not_a_batch_of_clouds_is_refused(shape):
    with pytest.raises(ValueError, match="clouds"):
        FrameAveraged(PointNet((8,)), "z")(torch.zeros(shape))
