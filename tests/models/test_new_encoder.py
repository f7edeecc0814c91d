"""What a new encoder costs: its class, registered where it is defined, and its section.

The section is listed in `EncoderConfig` of `pc_crvae.config.points`, which `Extended` does here;
nothing else names an encoder.
"""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn

from helpers.toy_models import ARCHITECTURE, clouds
from pc_crvae.config import PointModelConfig, Section
from pc_crvae.config.points import EncoderConfig
from pc_crvae.evaluation.encoders import encoder_of
from pc_crvae.models.points.encoder import pool_over_points
from pc_crvae.models.points.vae import PointVAE
from pc_crvae.models.registry import POINT_ENCODERS
from pc_crvae.models.vae import evaluating
from pc_crvae.objectives.base import SinglePass
from pc_crvae.objectives.elbo import ELBO
from pc_crvae.randomness.draws import Draws, keyed_generator


class WavesConfig(Section):
    name: Literal["waves"]
    count: int = 6


@POINT_ENCODERS.register("waves")
class Waves(nn.Module):
    """Sines of learned directions, pooled by their mean."""

    pool = staticmethod(pool_over_points)

    def __init__(self, count):
        super().__init__()
        self.directions = nn.Linear(3, count)
        self.out_features = count

    def forward_features(self, points):
        return self.directions(points).sin()

    def forward(self, points):
        return self.pool(self.forward_features(points), "mean")


class Extended(PointModelConfig):
    encoder: Annotated[EncoderConfig | WavesConfig, Field(discriminator="name")]


def described(**values):
    encoder = {"name": "waves", "count": 5}
    return Extended.model_validate(ARCHITECTURE | {"encoder": encoder} | values, strict=False)


def test_a_model_with_a_new_encoder_trains():
    torch.manual_seed(0)
    model = PointVAE(described())
    before = model.encoder.directions.weight.clone()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    training = SinglePass(model, ELBO())
    training(clouds(4), Draws(keyed_generator("step"), 4))["objective"].mean().neg().backward()
    optimizer.step()
    assert isinstance(model.encoder, Waves)
    assert (model.encoder.directions.weight != before).any()
    assert model.embed(clouds(4)).shape == (4, 4)
    assert repr(model).startswith("PointVAE(encoder=waves, decoder=folding, latent_dim=4, ")


def test_a_new_encoder_is_averaged_over_frames_and_pooled_as_an_evaluator_asks():
    torch.manual_seed(0)
    model = PointVAE(described(frames="z")).eval()
    points = clouds(3)
    half_turn = torch.tensor([-1.0, -1.0, 1.0])
    with evaluating(model):
        torch.testing.assert_close(model.encoder(points * half_turn), model.encoder(points))
    own = encoder_of(model)(points.numpy())["pooled"]
    asked = {pool: encoder_of(model, pool)(points.numpy())["pooled"] for pool in ("max", "mean")}
    torch.testing.assert_close(torch.from_numpy(asked["mean"]), torch.from_numpy(own))
    assert (asked["max"] > asked["mean"]).all()
