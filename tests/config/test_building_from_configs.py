"""All that the schema offers can be built."""

from operator import attrgetter
from typing import get_args

import pytest
import torch

from pc_crvae.config import load_config, plain
from pc_crvae.config import points as points_schema
from pc_crvae.training.build import build_model, build_training_objective


def kinds(union):
    """The names in a discriminated union."""
    members = get_args(get_args(union)[0])
    return [get_args(member.model_fields["name"].annotation)[0] for member in members]


SMALL = {
    "pointnet": "widths: [4]",
    "octant_pointnet": "widths: [4]",
    "dgcnn": "widths: [4], embedding: 4, k: 2",
    "foldingnet": "widths: [4], graph_widths: [4], k: 2",
}


@pytest.mark.parametrize("decoder", kinds(points_schema.DecoderConfig))
@pytest.mark.parametrize("encoder", kinds(points_schema.EncoderConfig))
def test_every_encoder_and_decoder_of_the_schema_can_be_built(empty, encoder, decoder):
    config = load_config(
        empty,
        [
            f"model.encoder={{name: {encoder}, {SMALL[encoder]}}}",
            f"model.decoder={{name: {decoder}, widths: [4], points: 8}}",
        ],
    )
    model = build_model(config)
    assert model.decode(model.embed(_points())[None]).shape == (1, 8, 3)


@pytest.mark.parametrize("transform", kinds(points_schema.PointTransformConfig))
def test_every_transform_of_the_schema_can_be_built(empty, transform):
    config = load_config(
        empty,
        ["model.encoder.widths=[4]", f"consistency.transforms=[{{name: {transform}}}]"],
    )
    objective = build_training_objective(config, build_model(config))
    given = plain(config.consistency.transforms[0])
    (built,) = objective.transform.transforms
    assert given == {"name": transform, **vars(built)}


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], {"weight": 1.0, "divergence.stop_gradient": False, "target": "transformed"}),
        (["consistency.weight=7"], {"weight": 7.0}),
        (["consistency.target=original"], {"target": "original"}),
        (["consistency.direction=original_first"], {"divergence.direction": "original_first"}),
        (["consistency.stop_gradient=true"], {"divergence.stop_gradient": True}),
        (["consistency.dimensions=[2, 5]"], {"divergence.dimensions": slice(2, 5)}),
    ],
)
def test_the_objective_is_built_as_the_config_says(empty, overrides, expected):
    config = load_config(
        empty,
        ["model.encoder.widths=[4]", "objective.beta=3", "objective.free_bits=0.1", *overrides],
    )
    built = build_training_objective(config, build_model(config))
    assert {name: attrgetter(name)(built) for name in expected} == expected
    assert (built.objective.beta, built.objective.free_bits) == (3, 0.1)


def test_without_consistency_the_objective_is_a_single_pass(empty):
    config = load_config(
        empty,
        ["consistency=null", "objective.name=autoencoder", "model.encoder.widths=[4]"],
    )
    built = build_training_objective(config, build_model(config))
    assert type(built).__name__ == "SinglePass"
    assert type(built.objective).__name__ == "AutoEncoding"
    assert built.model.posterior_kind == "code"


def _points():

    return torch.randn(8, 3)
