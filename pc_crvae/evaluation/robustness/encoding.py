"""What an encoder makes of clouds of any sizes: posteriors, and the features before their head."""

from collections.abc import Callable

import numpy as np

from pc_crvae.embedding.extraction import Name, batches_of_one_size, extract
from pc_crvae.embedding.names import Representations
from pc_crvae.evaluation.robustness.conditions import Clouds
from pc_crvae.models.pretrained_vae import PretrainedVAE

_POINTS_AT_ONCE = 64 * 1024
_NAMES: tuple[Name, ...] = ("mean", "log_variance", "pooled")


Encode = Callable[[Clouds], Representations]
"""What encodes n clouds: posteriors by ``mean`` (n, d) and ``log_variance`` (n, d), which a plain
auto-encoder has not, and ``pooled`` (n, f), the encoder's features before the posterior's head."""


def posterior_encoder(model: PretrainedVAE) -> Encode:
    """Encode by a model of points, clouds of one size together."""

    def encode(clouds: Clouds) -> Representations:
        parts, places = [], []
        batches = batches_of_one_size(clouds, lambda size: max(1, _POINTS_AT_ONCE // size))
        for of_batch, batch in batches:
            parts.append(extract(model, batch, _NAMES, at_once=len(batch)))
            places += of_batch
        order = np.argsort(places)
        return {name: np.concatenate([part[name] for part in parts])[order] for name in parts[0]}

    return encode
