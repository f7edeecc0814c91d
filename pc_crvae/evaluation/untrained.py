"""Models like a given one that were never trained: the bar beside it."""

import json
import math

import numpy as np
import torch

from pc_crvae.data.items import ItemSet
from pc_crvae.embedding.names import Untrained
from pc_crvae.models.batch_norm import batch_norms_of, gathering_statistics
from pc_crvae.models.pretrained import ENCODED_AT_ONCE, Pretrained
from pc_crvae.randomness.draws import Draws, keyed_generator
from pc_crvae.randomness.keys import keyed_numpy_generator, seed_from_key


def untrained_like(
    model: Pretrained,
    seed: int,
    train: ItemSet,
    *,
    points: int | None,
    how: Untrained = "calibrated",
) -> Pretrained:
    """A new model of the same architecture with random weights, fixed by ``seed`` and the data.

    Args:
        model: trained or not; it stays as it is.
        seed: fixes weights, points and the order of the items.
        train: the training split, of which no label is read; not read at all where there is
            nothing to calibrate.
        points: the number of points drawn of each cloud under this seed; None for images.
        how: whether `calibrate` sets the statistics of batch-norm, or they stay as initialised.
    """
    described = type(model).Description.model_validate_json(json.dumps(model.description()))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_from_key("untrained", seed))
        new = type(model).from_description(described)
    new.to(model.device)
    if how == "calibrated":
        calibrate(new, train, seed, points=points)
    return new


@torch.no_grad()
def calibrate(model: Pretrained, train: ItemSet, seed: int, *, points: int | None) -> None:
    """Set the batch-norm statistics on the way to the posterior by one pass over a split.

    As initialised, batch-norm takes every feature for one of mean 0 and variance 1: of an encoder's
    last features many are then constant. No label is read, and no weight changes; a model without
    batch-norm stays as it is, and the split is not read.

    The pass is one of training: each layer sees what the layers before it make of a batch by the
    batch's own statistics, and keeps the mean over the batches. Of a split that fits into one
    batch, the statistics are therefore exactly those of the split. Of a larger one they depend,
    beyond the first layer slightly, on which items share a batch: batches are drawn at random, as
    splits are often sorted by class, and differ by at most one item in size.

    Args:
        model: the model, on any device.
        train: clouds or images.
        seed: fixes the points of each cloud, the batches, and what is drawn of posteriors that are
            passed on to further groups.
        points: the number of points drawn of each cloud; None for images.
    """
    if not batch_norms_of(model):
        return
    order = keyed_numpy_generator("calibration order", seed).permutation(len(train))
    batches = np.array_split(order, math.ceil(len(order) / ENCODED_AT_ONCE))
    with gathering_statistics(model):
        for step, rows in enumerate(batches):
            items = torch.from_numpy(train.batch(rows, points or 0, "probe", seed))
            generator = keyed_generator("calibration", seed, step, device=model.device)
            # A path is drawn, as in training, so that lower groups see what they do there.
            model.posterior(items.to(model.device)).sample(Draws(generator, len(items)))
