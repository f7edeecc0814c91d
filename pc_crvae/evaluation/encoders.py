"""What the probe reads of a model: trained as it is, and untrained as it was initialised."""

import json

import numpy as np
import torch
from numpy.typing import NDArray

from pc_crvae.evaluation.probe import Encode
from pc_crvae.models.pretrained import Pretrained, PretrainedVAE
from pc_crvae.models.vae import evaluating
from pc_crvae.randomness import seed_from_key

_CHUNK = 64  # items encoded at once


def encoder_of(model: Pretrained) -> Encode:
    """The model's posterior means (``mean``) and its encoder's features (``pooled``), if it has."""

    def encode(batch: NDArray[np.float32]) -> dict[str, NDArray[np.floating]]:
        means, pooled = [], []
        with evaluating(model):
            for part in torch.split(torch.from_numpy(batch), _CHUNK):
                if isinstance(model, PretrainedVAE):
                    features = model.features(part.to(model.device))
                    pooled.append(features.cpu())
                    means.append(model.head(features).mean.cpu())
                else:
                    means.append(model.posterior(part.to(model.device)).mean.cpu())
        encoded = {"mean": torch.cat(means).numpy()}
        return encoded | ({"pooled": torch.cat(pooled).numpy()} if pooled else {})

    return encode


def untrained_like(model: Pretrained, seed: int) -> Pretrained:
    """A new model of the same architecture, batch-norm as initialised, fixed by ``seed``."""
    described = type(model).Description.model_validate_json(json.dumps(model.description()))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_from_key("untrained", seed))
        new = type(model).from_description(described)
    return new.to(model.device)
