import numpy as np
import pytest
import torch

from helpers.toy_models import with_encoder as model
from pc_crvae.config.images import ImageModelConfig
from pc_crvae.errors import UserError
from pc_crvae.evaluation.encoders import encoder_of
from pc_crvae.geometry import principal_frames
from pc_crvae.models.images.vae import ImageVAE
from pc_crvae.models.points.vae import PointVAE

CLOUDS = np.random.default_rng(0).normal(size=(5, 32, 3)).astype(np.float32)


ENCODERS = [
    {"name": "pointnet", "widths": [8, 16]},
    {"name": "dgcnn", "widths": [8, 8], "embedding": 16, "k": 4, "pooling": "max"},
    {"name": "dgcnn", "widths": [8, 8], "embedding": 16, "k": 4, "pooling": "max_mean"},
]


@pytest.mark.parametrize("encoder", ENCODERS, ids=lambda e: e["name"] + e.get("pooling", ""))
def test_pooled_features_are_pooled_as_asked_and_means_as_the_model_is_built(encoder):
    point_model = model(**encoder)
    own = encoder_of(point_model)(CLOUDS)
    pooled = {pool: encoder_of(point_model, pool)(CLOUDS) for pool in ("max", "mean", "max_mean")}
    for found in pooled.values():
        np.testing.assert_array_equal(found["mean"], own["mean"])
    built = encoder.get("pooling", "max")
    np.testing.assert_allclose(pooled[built]["pooled"], own["pooled"], atol=1e-5)
    both = np.hstack([pooled["max"]["pooled"], pooled["mean"]["pooled"]])
    np.testing.assert_array_equal(pooled["max_mean"]["pooled"], both)
    assert (pooled["max"]["pooled"] >= pooled["mean"]["pooled"]).all()
    assert (pooled["max"]["pooled"] > pooled["mean"]["pooled"]).any()
    np.testing.assert_array_equal(encoder_of(point_model)(CLOUDS)["pooled"], own["pooled"])


def test_an_encoder_averaged_over_frames_is_pooled_in_each_of_them():
    point_model = model(name="pointnet", widths=[8, 16], batch_norm=False)
    framed = PointVAE(point_model.architecture.model_copy(update={"frames": "z"}), points=32)
    framed.eval().encoder.encoder.load_state_dict(point_model.encoder.state_dict())
    frames = principal_frames(torch.from_numpy(CLOUDS), "z")
    for pool in ("max", "mean", "max_mean"):
        found = encoder_of(framed, pool)(CLOUDS)["pooled"]
        alone = [
            encoder_of(point_model, pool)((torch.from_numpy(CLOUDS) @ frames[:, place]).numpy())
            for place in range(2)
        ]
        expected = np.mean([of["pooled"] for of in alone], axis=0)
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_an_encoder_without_the_choice_is_refused():
    image_model = ImageVAE(ImageModelConfig(name="image_vae"), shape=(1, 12, 12))
    with pytest.raises(UserError, match="take a protocol whose pool is null"):
        encoder_of(image_model, "max")
