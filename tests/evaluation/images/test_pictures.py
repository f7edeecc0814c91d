"""Rows of pictures, held against the model's own parts."""

import numpy as np
import pytest
import torch

from pc_crvae.config import NVAEModelConfig
from pc_crvae.config.images import ImageModelConfig
from pc_crvae.evaluation.images.pictures import traversal_rows
from pc_crvae.models.images.nvae.pretrained import PretrainedNVAE
from pc_crvae.models.images.vae import ImageVAE
from pc_crvae.models.vae import evaluating

SHAPE = (1, 8, 8)
NVAE = {"name": "nvae", "initial_channels": 4, "groups_per_scale": [1, 1], "latent_channels": 2}
FLAT = {
    "name": "image_vae",
    "encoder": {"name": "mlp", "widths": [8]},
    "latent_dim": 32,
    "decoder": {"name": "mlp", "widths": [8]},
}


def model_of(values):
    torch.manual_seed(0)
    if values["name"] == "nvae":
        return PretrainedNVAE(
            NVAEModelConfig.model_validate(values, strict=False), shape=SHAPE
        ).eval()
    return ImageVAE(ImageModelConfig.model_validate(values, strict=False), shape=SHAPE).eval()


@pytest.mark.parametrize("values", [NVAE, FLAT], ids=["NVAE", "flat"])
def test_a_traversal_moves_the_strongest_dimensions_of_the_top_group_alone(values):
    model = model_of(values)
    image = torch.rand(1, *SHAPE, generator=torch.Generator().manual_seed(1))
    with evaluating(model):
        posterior = model.posterior(image)
        path = posterior.mean_path() if values is NVAE else (posterior.mean,)
        top = path[0].shape[1]
        # What is strong below the top group is not moved.
        strengths = list(range(top)) + [1000.0] * sum(group.shape[1] for group in path[1:])
        rows = traversal_rows(model, image, strengths)
        expected = []
        for dimension in range(top - 1, top - 9, -1):
            along = []
            for value in np.linspace(-3, 3, 10):
                moved = path[0].clone()
                moved[0, dimension] = value
                along.append(model.likelihood((moved, *path[1:])).mean[0])
            expected.append(torch.stack(along))
    assert len(rows) == 8
    for row, wanted in zip(rows, expected, strict=True):
        torch.testing.assert_close(torch.from_numpy(row), wanted, rtol=1e-4, atol=1e-5)
        assert row.std(axis=0).max() > 1e-4
