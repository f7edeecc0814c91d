"""What a model of images makes, as rows of pictures."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pc_crvae.evaluation.images.observations import ImageModel, Observed
from pc_crvae.latents.interpolation import interpolate_groups
from pc_crvae.models.vae import evaluating
from pc_crvae.randomness.draws import Draws, keyed_generator
from pc_crvae.visualization.image_grid import save_image_grid

Rows = list[NDArray[np.floating]]
"""Rows of images, each (n, C, H, W) in [0, 1]."""

_COLUMNS = 10
_SAMPLE_ROWS = 6
_PATHS = 6
_TRAVERSED = 8
_FARTHEST = 3.0  # standard deviations of the prior


def save_pictures(
    model: ImageModel,
    observed: Observed,
    kl_per_dimension: Sequence[float] | None,
    report: Path,
    seed: int,
) -> dict[str, Path]:
    """Write pictures beside a report: of reconstructions, interpolations, samples, traversals.

    Args:
        model: the model, in evaluation mode.
        observed: the images that were evaluated.
        kl_per_dimension: (D,), which chooses the dimensions that are traversed; None for a plain
            auto-encoder, of which there are no samples and no traversals.
        report: the path of the report.
        seed: the seed of what is drawn.

    Returns:
        The paths by what they show.

    Raises:
        UserError: a picture cannot be written.
    """
    drawn = {
        "reconstructions": reconstruction_rows(model, observed.grey, observed.pixels),
        "interpolations": interpolation_rows(model, observed.pixels, seed),
    }
    if kl_per_dimension is not None:
        drawn["samples"] = sample_rows(model, seed)
        drawn["traversals"] = traversal_rows(model, observed.pixels[:1], kl_per_dimension)
    paths = {name: report.with_name(f"{report.stem}-{name}.png") for name in drawn}
    for name, rows in drawn.items():
        save_image_grid(rows, paths[name])
    return paths


def reconstruction_rows(model: ImageModel, grey: Tensor, pixels: Tensor) -> Rows:
    """The images, what the model saw of them where that differs, and what it makes of it.

    Args:
        model: the model, in evaluation mode.
        grey: (n, C, H, W); the first few are shown.
        pixels: the same, as the model explains them.
    """
    shown, seen = grey[:_COLUMNS], pixels[:_COLUMNS]
    rows = [shown] if torch.equal(shown, seen) else [shown, seen]
    return [row.numpy() for row in [*rows, model.reconstructions(seen)]]


def sample_rows(model: ImageModel, seed: int) -> Rows:
    """The likelihood's means at draws of the prior."""
    images = model.sample(_SAMPLE_ROWS * _COLUMNS, seed).numpy()
    return list(images.reshape(_SAMPLE_ROWS, _COLUMNS, *images.shape[1:]))


def traversal_rows(model: ImageModel, image: Tensor, kl_per_dimension: Sequence[float]) -> Rows:
    """One image's posterior mean with one dimension moved through the prior's range.

    Of a hierarchy the top group's dimensions are moved, whose prior is N(0, I) too; the groups
    below stay as they are in the image's path of means.

    Args:
        model: the model, in evaluation mode.
        image: (1, C, H, W), as the model explains it.
        kl_per_dimension: (D,); the dimensions of the largest are shown, one per row.
    """
    values = torch.linspace(-_FARTHEST, _FARTHEST, _COLUMNS, device=model.device)
    rows = []
    with evaluating(model):
        image = image.to(model.device)
        top, *below = model.posterior(image).mean_path()
        held = [group.expand(_COLUMNS, -1) for group in below]
        for dimension in np.argsort(kl_per_dimension[: top.shape[1]])[::-1][:_TRAVERSED]:
            moved = top.repeat(_COLUMNS, 1)
            moved[:, int(dimension)] = values
            rows.append(model.likelihood((moved, *held)).mean.cpu().numpy())
    return rows


def interpolation_rows(model: ImageModel, pixels: Tensor, seed: int) -> Rows:
    """Spherical paths between samples of two images' posteriors, group by group.

    Args:
        model: the model, in evaluation mode.
        pixels: (n, C, H, W), n >= 2, as the model explains them; each is joined to the next.
        seed: the seed of the samples.
    """
    count = min(_PATHS, len(pixels) // 2)
    ends = pixels[: 2 * count].to(model.device)
    draws = Draws(keyed_generator("interpolated images", seed, device=model.device), len(ends))
    rows = []
    with evaluating(model):
        path = model.posterior(ends).sample(draws)
        for first in range(0, 2 * count, 2):
            start, end = ([group[image] for group in path] for image in (first, first + 1))
            between = interpolate_groups(start, end, _COLUMNS)
            rows.append(model.likelihood(between).mean.cpu().numpy())
    return rows
