"""What an encoder makes of clouds of any sizes: posteriors, and the features before their head."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from pc_crvae.embedding.extraction import batches_of_one_size, extract
from pc_crvae.embedding.names import Representations
from pc_crvae.evaluation.robustness.conditions import Clouds
from pc_crvae.models.pretrained_vae import PretrainedVAE

_POINTS_AT_ONCE = 64 * 1024


Encode = Callable[[Clouds], Representations]
"""What encodes n clouds: posteriors by ``mean`` (n, d) and ``log_variance`` (n, d), which a plain
auto-encoder has not, and ``pooled`` (n, f), the encoder's features before the posterior's head."""


def posterior_encoder(model: PretrainedVAE) -> Encode:
    """Encode by a model of points, clouds of one size together."""

    def encode(clouds: Clouds) -> Representations:
        places: list[int] = []

        def batches() -> Iterator[NDArray[np.float32]]:
            for of_batch, batch in batches_of_one_size(clouds, _at_once):
                places.extend(of_batch)
                yield batch

        # All of a batch at once.
        found = extract(
            model, batches(), ("mean", "log_variance", "pooled"), at_once=_POINTS_AT_ONCE
        )
        return {name: values[np.argsort(places)] for name, values in found.items()}

    return encode


def _at_once(size: int) -> int:
    return max(1, _POINTS_AT_ONCE // size)
