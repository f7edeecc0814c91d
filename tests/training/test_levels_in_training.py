"""What a likelihood of levels is trained to explain are levels, transformed images too."""

import pytest
import torch

from pc_crvae.config import load_config
from pc_crvae.randomness.draws import Draws, keyed_generator
from pc_crvae.training.build import build_model, build_training_objective

OVERRIDES = [
    "data.name=digits",
    "consistency.transforms=[{name: published}]",
]
FLAT = (
    "model={name: image_vae, encoder: {name: mlp, widths: [8]}, "
    "decoder: {name: mlp, widths: [8]}, likelihood: {name: LIKELIHOOD}}"
)
NVAE = (
    "model={name: nvae, initial_channels: 2, groups_per_scale: [1], latent_channels: 1, "
    "likelihood: {name: LIKELIHOOD}}"
)


@pytest.mark.parametrize("model", [FLAT, NVAE], ids=["flat", "nvae"])
@pytest.mark.parametrize(
    ("likelihood", "of_levels"),
    [("discretized_logistic", True), ("discretized_logistic_mixture", True), ("gaussian", False)],
)
def test_the_transformed_images_are_levels_where_the_likelihood_is_of_levels(
    tmp_path, monkeypatch, model, likelihood, of_levels
):
    (tmp_path / "empty.yaml").write_text("{}")
    config = load_config(
        tmp_path / "empty.yaml", [*OVERRIDES, model.replace("LIKELIHOOD", likelihood)]
    )
    built = build_model(config, (1, 8, 8))
    encoded, explained = [], []
    posterior, make = built.posterior, built.make_likelihood

    def watched(parameters):
        made = make(parameters)
        log_prob = made.log_prob
        made.log_prob = lambda x: explained.append(x) or log_prob(x)
        return made

    monkeypatch.setattr(built, "posterior", lambda x: encoded.append(x) or posterior(x))
    monkeypatch.setattr(built, "make_likelihood", watched)
    x = torch.randint(0, 256, (6, 1, 8, 8), generator=torch.Generator().manual_seed(0)) / 255
    objective = build_training_objective(config, built)
    objective(x, Draws(keyed_generator("levels"), 6))

    for original, transformed in (encoded, explained):
        assert torch.equal(original, x)
        assert (transformed - x).abs().max() > 0.1
        assert torch.equal(transformed, (255 * transformed).round() / 255) == of_levels
    assert torch.equal(encoded[1], explained[1])
