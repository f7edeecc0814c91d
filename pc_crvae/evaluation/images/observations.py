"""Held-out images as a model explains them: which, and in which order, of which pixels."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from pc_crvae.config.images import is_binarized
from pc_crvae.data.images import ImageSet
from pc_crvae.evaluation.images.protocol import ImageProtocol
from pc_crvae.models.images.nvae.pretrained import PretrainedNVAE
from pc_crvae.models.images.vae import ImageVAE
from pc_crvae.objectives.binarization import binarize
from pc_crvae.randomness.draws import Draws, keyed_generator
from pc_crvae.randomness.keys import keyed_numpy_generator

ImageModel = ImageVAE | PretrainedNVAE

IMAGES_AT_ONCE = 100  # transformed, binarised, encoded


@dataclass(frozen=True, eq=False)
class Observed:
    """Held-out images as they are, and as the model explains them.

    Attributes:
        grey: (n, C, H, W) float32 in [0, 1].
        pixels: the same, or drawn black and white where the model was trained on such.
    """

    grey: Tensor
    pixels: Tensor


def has_density(model: ImageModel) -> bool:
    """Whether it has a posterior and a prior to take a KL between."""
    return not isinstance(model, ImageVAE) or model.has_prior


def observe(model: ImageModel, held_out: ImageSet, protocol: ImageProtocol) -> Observed:
    """The images that the protocol picks, binarised by its seed where the model is of such."""
    parts = list(observed_parts(model, held_out, protocol.count(held_out), protocol.seed))
    grey = torch.cat([part.grey for part in parts])
    if not is_binarized(model.architecture.likelihood):
        return Observed(grey, grey)
    return Observed(grey, torch.cat([part.pixels for part in parts]))


def observed_parts(
    model: ImageModel, held_out: ImageSet, count: int, seed: int
) -> Iterator[Observed]:
    """The first ``count`` images in the seed's order, `IMAGES_AT_ONCE` at a time."""
    order = keyed_numpy_generator("evaluated images", seed).permutation(len(held_out))
    for number, start in enumerate(range(0, count, IMAGES_AT_ONCE)):
        grey = torch.from_numpy(held_out.batch(order[start : min(start + IMAGES_AT_ONCE, count)]))
        draws = Draws(keyed_generator("evaluated pixels", seed, number), len(grey))
        drawn = is_binarized(model.architecture.likelihood)
        yield Observed(grey, binarize(grey, draws) if drawn else grey)
