"""What the probe reads of a model: trained as it is, and untrained as it was initialised."""

import json
from collections.abc import Callable
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pc_crvae.data.items import ItemSet
from pc_crvae.embedding.rotation_average import averaged
from pc_crvae.errors import UserError
from pc_crvae.evaluation.probe.protocol import Pool, ProbeProtocol
from pc_crvae.evaluation.probe.run import Encode, Probed, probe_encoders, protocol_for
from pc_crvae.models.points import PointEncoder
from pc_crvae.models.pretrained import Pretrained
from pc_crvae.models.pretrained_vae import PretrainedVAE
from pc_crvae.models.vae import evaluating
from pc_crvae.randomness.keys import seed_from_key

_CHUNK = 64  # items encoded at once
_WIDE_CHUNK = 4


def probe_model(
    model: Pretrained,
    train: ItemSet,
    test: ItemSet,
    protocol: ProbeProtocol,
    progress: Callable[[str], None] | None = None,
) -> Probed:
    """Probe a model, and untrained ones like it; see `probe_encoders`.

    Args:
        model: the trained one.
        train: what classifiers are fitted on.
        test: what they are scored on.
        protocol: as the user chose it; what it leaves open is settled by the model and the data.
        progress: told, in one line, what is being done.
    """
    settled = protocol_for(model, protocol, train, test)

    def encoder(of: Pretrained) -> Encode:
        encode = encoder_of(of, settled.pool)
        return encode if settled.average_over is None else averaged(encode, settled.average_over)

    return probe_encoders(
        encoder(model),
        lambda seed: encoder(untrained_like(model, seed)),
        train,
        test,
        settled,
        progress,
    )


def encoder_of(model: Pretrained, pool: Pool | None = None) -> Encode:
    """The model's posterior means (``mean``) and its encoder's features (``pooled``), if it has.

    Args:
        model: trained or not.
        pool: over the points, for ``pooled``; None for the encoder's own.

    Raises:
        UserError: the encoder cannot be pooled so.
    """
    if pool is not None:
        _check_pool(model)

    def encode(batch: NDArray[np.float32]) -> dict[str, NDArray[np.floating]]:
        means, pooled = [], []
        with evaluating(model):
            for part in torch.split(torch.from_numpy(batch), _CHUNK):
                items = part.to(model.device)
                if isinstance(model, PretrainedVAE):
                    features = model.features(items)
                    means.append(model.head(features).mean.cpu())
                    if pool is not None:
                        features = _pooled(cast(PointEncoder, model.encoder), items, pool)
                    pooled.append(features.cpu())
                else:
                    means.append(model.posterior(items).mean.cpu())
        encoded = {"mean": torch.cat(means).numpy()}
        return encoded | ({"pooled": torch.cat(pooled).numpy()} if pooled else {})

    return encode


def _check_pool(model: Pretrained) -> None:
    encoder = model.encoder if isinstance(model, PretrainedVAE) else model
    if not isinstance(encoder, PointEncoder):
        raise UserError(
            f"the protocol chooses the pool over the points, which a {type(encoder).__name__} has "
            "no choice of: take a protocol whose pool is null"
        )


def _pooled(encoder: PointEncoder, points: Tensor, pool: Pool) -> Tensor:
    """Features (B, F) of clouds (B, N, 3), or (B, 2 F) for both pools, the maximum first."""
    # A few clouds at once, whose features of points stay in the cache.
    parts = torch.split(points, _WIDE_CHUNK)
    return torch.cat([encoder.pool(encoder.forward_features(part), pool) for part in parts])


def untrained_like(model: Pretrained, seed: int) -> Pretrained:
    """A new model of the same architecture, batch-norm as initialised, fixed by ``seed``."""
    described = type(model).Description.model_validate_json(json.dumps(model.description()))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_from_key("untrained", seed))
        new = type(model).from_description(described)
    return new.to(model.device)
