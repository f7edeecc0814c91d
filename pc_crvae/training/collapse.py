"""What is said of reconstructions at the end of a training: how near they are, and a collapse."""

import numpy as np
import torch
from torch import Tensor

from pc_crvae.config import Config
from pc_crvae.data.items import ItemSet
from pc_crvae.evaluation.metrics.collapse import gain_over_fixed, mean_shape
from pc_crvae.geometry import chamfer_distance
from pc_crvae.models.points.vae import PointVAE
from pc_crvae.models.pretrained import Pretrained
from pc_crvae.randomness.keys import keyed_numpy_generator

LEAST_GAIN = 0.05
"""Reconstructions that are nearer by less than this share are no better than one fixed cloud."""

_COMPARED = 64  # shapes of each part
_FIXED = 16  # reconstructions that are tried as the cloud for all


def decoding_notes(
    config: Config, model: Pretrained, train_set: ItemSet, validation_set: ItemSet
) -> str | None:
    """Return how near a model's reconstructions are, and a warning where it has collapsed.

    It has where the validation shapes' reconstructions are no nearer to them than the best fixed
    cloud among the mean shape of training shapes and some of the reconstructions themselves.

    Returns:
        A line, or two; None of models that do not decode points.
    """
    if not isinstance(model, PointVAE) or not config.decodes:
        return None
    train, clouds = (_some(config, items) for items in (train_set, validation_set))
    decoded = model.reconstructions(clouds)
    away = chamfer_distance(decoded, clouds, squared=False, directions="mean").double().mean()
    near = (
        f"reconstructions: in the mean over {len(clouds)} validation shapes, points lie "
        f"{100 * away:.1f} % of the shape's radius away from the other cloud"
    )
    fixed = [mean_shape(train, decoded.shape[1]), *decoded[:_FIXED]]
    points = min(len(cloud) for cloud in fixed)
    gain = gain_over_fixed(decoded, clouds, torch.stack([cloud[:points] for cloud in fixed]))
    if gain >= LEAST_GAIN:
        return near
    return (
        f"{near}\nwarning: the model has collapsed: its reconstructions of the validation shapes "
        f"are {_compared(gain)} one fixed cloud in place of all of them (Chamfer distance), so "
        "what it decodes says nothing of a shape: train for more steps, on more shapes, with a "
        "lower objective.beta or consistency.weight, or start from a model that decodes (init)"
    )


def _compared(gain: float) -> str:
    if gain < 0:
        return f"{-gain:.0%} farther off than"
    return f"only {gain:.0%} nearer than"


def _some(config: Config, items: ItemSet) -> Tensor:
    order = keyed_numpy_generator("collapse", config.seed).permutation(len(items))
    rows = np.sort(order[:_COMPARED])
    return torch.from_numpy(items.batch(rows, config.data.points, "collapse", config.seed))
