"""How far the posteriors of held-out images move when the images are transformed."""

from typing import Any, cast

import torch
from torch import Tensor

from pc_crvae.config import Config
from pc_crvae.config.images import is_binarized
from pc_crvae.evaluation.finite import finite
from pc_crvae.evaluation.images.observations import IMAGES_AT_ONCE, ImageModel, Observed
from pc_crvae.evaluation.images.report import ConsistencyKL
from pc_crvae.evaluation.metrics.likelihood import Estimate, sums_of_groups
from pc_crvae.models.images.build import build_image_transform, onto_levels
from pc_crvae.models.vae import evaluating
from pc_crvae.objectives.binarization import binarize
from pc_crvae.randomness.draws import Draws, keyed_generator
from pc_crvae.transforms.images import ComposeImages, ImageTransform, published


def transform_of(config: Config | None) -> tuple[ImageTransform, str]:
    """Return the transform to measure by, and where it is from, in words.

    Args:
        config: the config of the model's run; None of a model outside a run.
    """
    if config is None or config.consistency is None:
        return published("small"), "the preset published small: the run was trained without any"
    transforms = cast(Any, config.consistency.transforms)  # a config of images has theirs
    return build_image_transform(transforms), "the run's own"


def consistency_kl(
    model: ImageModel, observed: Observed, transform: ImageTransform, seed: int
) -> ConsistencyKL:
    """Measure KL(q(z|t(x)) || q(z|x)), one transform and one path per image.

    Where pixels are drawn, those of x and of t(x) are drawn apart, and the posteriors differ even
    where t changes nothing: by the ``floor``, which the mean is to be read against.

    Args:
        model: a model whose posterior has a density.
        observed: x.
        transform: t, of the grey images; its results are binarised where x is, and rounded to the
            256 levels where the likelihood is of these.
        seed: the seed of transforms, pixels and paths.

    Raises:
        UserError: it is not finite.
    """
    onto = onto_levels(transform, model.architecture.likelihood)
    by_item, per_group = _kl_to_transformed(model, observed, onto, seed)
    floor = torch.zeros_like(by_item)
    if is_binarized(model.architecture.likelihood):
        floor, _ = _kl_to_transformed(model, observed, ComposeImages([]), seed)
    return ConsistencyKL(
        **dict(Estimate.of(by_item)),
        per_group=tuple(per_group),
        floor=Estimate.of(floor),
        transform=repr(transform),
    )


def _kl_to_transformed(
    model: ImageModel, observed: Observed, transform: ImageTransform, seed: int
) -> tuple[Tensor, list[float]]:
    """The KL of each image, (n,) nats, and the mean of each group."""
    rows: list[Tensor] = []
    per_dimension = torch.zeros((), dtype=torch.float64)  # summed: (n, D) of a hierarchy is large
    with evaluating(model):
        for start in range(0, len(observed.grey), IMAGES_AT_ONCE):
            part = slice(start, start + IMAGES_AT_ONCE)
            grey = observed.grey[part]
            draws = Draws(keyed_generator("evaluated transform", seed, start), len(grey))
            changed = transform(grey, draws)
            if is_binarized(model.architecture.likelihood):
                changed = binarize(changed, draws)
            original = model.posterior(observed.pixels[part].to(model.device))
            transformed = model.posterior(changed.to(model.device))
            on_device = keyed_generator("evaluated path", seed, start, device=model.device)
            path = transformed.sample(Draws(on_device, len(grey)))
            divergence = transformed.kl(original, path).double().cpu()
            rows.append(divergence.sum(dim=1))
            per_dimension = per_dimension + divergence.sum(dim=0)
    by_item = finite(torch.cat(rows), "consistency KL")
    return by_item, sums_of_groups(model, per_dimension / len(by_item))
