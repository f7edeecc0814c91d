"""Sets of items encoded by a model: arrays by the name of the representation."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pc_crvae.embedding.names import Representations
from pc_crvae.errors import UserError
from pc_crvae.latents.posteriors import DiagonalGaussian
from pc_crvae.models.points import PointEncoder, Pooling
from pc_crvae.models.pretrained import ENCODED_AT_ONCE, Pretrained
from pc_crvae.models.pretrained_vae import PretrainedVAE
from pc_crvae.models.vae import encode_parts

MOST_WAITING = 2**22
"""Points of all clouds that wait for others of their size, some 50 megabytes."""

_POOLED_AT_ONCE = 4  # clouds whose features of points stay in the cache

Name = Literal["mean", "log_variance", "pooled"]


def extract(
    model: Pretrained,
    items: NDArray[np.float32] | Iterable[NDArray[np.float32]],
    names: Sequence[Name] = ("mean",),
    *,
    pool: Pooling | None = None,
    at_once: int = ENCODED_AT_ONCE,
) -> Representations:
    """Encode a set of items.

    Args:
        model: put in evaluation mode for the while.
        items: (n, ...) prepared as in training, or one such array after another.
        names: what is wanted: the posterior's ``mean`` (n, d) and ``log_variance`` (n, d), left
            out where it has no density; ``pooled`` features (n, f) of a `PretrainedVAE`.
        pool: the pooling over points, for ``pooled``; None for the encoder's own.
        at_once: items of an array encoded at once.

    Raises:
        UserError: the encoder cannot be pooled so.
    """
    if pool is not None:
        check_pool(model)
    arrays = [items] if isinstance(items, np.ndarray) else items
    parts = (part for array in arrays for part in torch.split(torch.from_numpy(array), at_once))
    encoded = encode_parts(model, parts, lambda part: _represent(model, part, names, pool))
    return {name: values.numpy() for name, values in encoded.items()}


def check_pool(model: Pretrained) -> None:
    """Refuse a model whose features of points cannot be pooled as one asks.

    Raises:
        UserError: it is such.
    """
    encoder = model.encoder if isinstance(model, PretrainedVAE) else model
    if not isinstance(encoder, PointEncoder):
        raise UserError(
            f"the protocol chooses the pool over the points, which a {type(encoder).__name__} has "
            "no choice of: take a protocol whose pool is null"
        )


def batches_of_one_size(
    clouds: Iterable[NDArray[np.float32]], at_once: Callable[[int], int]
) -> Iterator[tuple[list[int], NDArray[np.float32]]]:
    """Gather clouds of differing counts of points into batches of equal ones.

    Args:
        clouds: (N_i, 3) each; taken one by one.
        at_once: the clouds of a batch, by their count of points.

    Yields:
        The places of the clouds of a batch among those taken, and the batch (b, N, 3): when it is
        full, or the largest of those that wait when they hold `MOST_WAITING` points together; and
        the rest at the end.
    """
    waiting: dict[int, list[tuple[int, NDArray[np.float32]]]] = {}
    held = 0
    for place, cloud in enumerate(clouds):
        points = len(cloud)
        batch = waiting.setdefault(points, [])
        batch.append((place, cloud))
        held += points
        if len(batch) == at_once(points):
            held -= points * len(batch)
            yield _stacked(waiting.pop(points))
        elif held >= MOST_WAITING:
            points = max(waiting, key=lambda size: size * len(waiting[size]))
            held -= points * len(waiting[points])
            yield _stacked(waiting.pop(points))
    yield from map(_stacked, waiting.values())


def _stacked(
    batch: Sequence[tuple[int, NDArray[np.float32]]],
) -> tuple[list[int], NDArray[np.float32]]:
    return [place for place, _ in batch], np.stack([cloud for _, cloud in batch])


def _represent(
    model: Pretrained, items: Tensor, names: Sequence[Name], pool: Pooling | None
) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    if isinstance(model, PretrainedVAE):
        features = model.features(items)
        posterior = model.head(features)
        if "pooled" in names:
            found["pooled"] = features if pool is None else _pooled(model, items, pool)
    else:
        posterior = model.posterior(items)
    if "mean" in names:
        found["mean"] = posterior.mean
    if "log_variance" in names and isinstance(posterior, DiagonalGaussian):
        found["log_variance"] = posterior.log_variance
    return found


def _pooled(model: PretrainedVAE, clouds: Tensor, pool: Pooling) -> Tensor:
    """Features (B, F) of clouds (B, N, 3), or (B, 2 F) for both pools, the maximum first."""
    encoder = cast(PointEncoder, model.encoder)
    parts = torch.split(clouds, _POOLED_AT_ONCE)
    return torch.cat([encoder.pool(encoder.forward_features(part), pool) for part in parts])
