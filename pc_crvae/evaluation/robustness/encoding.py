"""What an encoder makes of clouds of any sizes: posteriors, and the features before their head."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pc_crvae.embedding.extraction import batches_of_one_size, extract
from pc_crvae.evaluation.robustness.conditions import Clouds
from pc_crvae.models.pretrained_vae import PretrainedVAE

_POINTS_AT_ONCE = 64 * 1024


@dataclass(frozen=True)
class EncodedClouds:
    """What an encoder makes of n clouds.

    Attributes:
        mean: (n, d) posterior means.
        log_variance: (n, d) of the posterior; None for a plain auto-encoder, which has none.
        pooled: (n, f) the encoder's features, before the posterior's head.
    """

    mean: NDArray[np.floating]
    log_variance: NDArray[np.floating] | None
    pooled: NDArray[np.floating]


Encode = Callable[[Clouds], EncodedClouds]


def posterior_encoder(model: PretrainedVAE) -> Encode:
    """Encode by a model of points, clouds of one size together."""

    def encode(clouds: Clouds) -> EncodedClouds:
        places: list[int] = []

        def batches() -> Iterator[NDArray[np.float32]]:
            for of_batch, batch in batches_of_one_size(clouds, _at_once):
                places.extend(of_batch)
                yield batch

        # All of a batch at once.
        found = extract(
            model, batches(), ("mean", "log_variance", "pooled"), at_once=_POINTS_AT_ONCE
        )
        in_order = {name: values[np.argsort(places)] for name, values in found.items()}
        return EncodedClouds(in_order["mean"], in_order.get("log_variance"), in_order["pooled"])

    return encode


def _at_once(size: int) -> int:
    return max(1, _POINTS_AT_ONCE // size)
