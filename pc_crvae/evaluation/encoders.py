"""What the probe reads of a model: trained as it is, and untrained as it was initialised."""

import numpy as np
import torch
from numpy.typing import NDArray

from pc_crvae.evaluation.probe import Encode
from pc_crvae.models.points.vae import PointVAE
from pc_crvae.models.vae import evaluating
from pc_crvae.randomness import seed_from_key

_CHUNK = 64  # clouds encoded at once


def encoder_of(model: PointVAE) -> Encode:
    """The model's posterior means (``mean``) and its encoder's features (``pooled``)."""

    def encode(points: NDArray[np.float32]) -> dict[str, NDArray[np.floating]]:
        means, pooled = [], []
        with evaluating(model):
            for part in torch.split(torch.from_numpy(points), _CHUNK):
                features = model.features(part.to(model.device))
                pooled.append(features.cpu())
                means.append(model.head(features).mean.cpu())
        return {"mean": torch.cat(means).numpy(), "pooled": torch.cat(pooled).numpy()}

    return encode


def untrained_like(model: PointVAE, seed: int) -> PointVAE:
    """A new model of the same architecture, batch-norm as initialised, fixed by ``seed``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_from_key("untrained", seed))
        new = PointVAE(model.architecture, posterior=model.posterior_kind, points=model.points)
    return new.to(model.device)
