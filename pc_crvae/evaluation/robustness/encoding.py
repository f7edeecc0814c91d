"""What an encoder makes of clouds of any sizes: posteriors, and the features before their head."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from pc_crvae.evaluation.robustness.conditions import Clouds
from pc_crvae.latents.posteriors import DiagonalGaussian
from pc_crvae.models.pretrained_vae import PretrainedVAE
from pc_crvae.models.vae import evaluating

_POINTS_AT_ONCE = 64 * 1024


@dataclass(frozen=True)
class Encoded:
    """What an encoder makes of n clouds.

    Attributes:
        mean: (n, d) posterior means.
        log_variance: (n, d) of the posterior; None for a plain auto-encoder, which has none.
        pooled: (n, f) the encoder's features, before the posterior's head.
    """

    mean: NDArray[np.float32]
    log_variance: NDArray[np.float32] | None
    pooled: NDArray[np.float32]


Encode = Callable[[Clouds], Encoded]


def posterior_encoder(model: PretrainedVAE) -> Encode:
    """Encode by a model of points, clouds of one size together."""

    def encode(clouds: Clouds) -> Encoded:
        sizes = np.array([len(cloud) for cloud in clouds])
        parts: list[tuple[NDArray[np.int64], Encoded]] = []
        with evaluating(model):
            for size in np.unique(sizes):
                rows = np.flatnonzero(sizes == size)
                at_once = max(1, _POINTS_AT_ONCE // int(size))
                for start in range(0, len(rows), at_once):
                    part = rows[start : start + at_once]
                    parts.append((part, _encode(model, np.stack([clouds[row] for row in part]))))
        return _joined(parts, len(sizes))

    return encode


def _encode(model: PretrainedVAE, batch: NDArray[np.float32]) -> Encoded:
    pooled = model.features(torch.from_numpy(batch).to(model.device))
    posterior = model.head(pooled)
    log_variance = (
        posterior.log_variance.cpu().numpy() if isinstance(posterior, DiagonalGaussian) else None
    )
    return Encoded(posterior.mean.cpu().numpy(), log_variance, pooled.float().cpu().numpy())


def _joined(parts: Sequence[tuple[NDArray[np.int64], Encoded]], count: int) -> Encoded:
    """Put the rows of all parts where they belong."""

    def whole(name: str) -> NDArray[np.float32]:
        first: NDArray[np.float32] = getattr(parts[0][1], name)
        values = np.empty((count, first.shape[1]), dtype=np.float32)
        for rows, encoded in parts:
            values[rows] = getattr(encoded, name)
        return values

    has_density = parts[0][1].log_variance is not None
    return Encoded(whole("mean"), whole("log_variance") if has_density else None, whole("pooled"))
