"""What the latents of a model of images hold: active units and mutual information."""

import torch
from torch import Tensor

from pc_crvae.data.images import ImageSet
from pc_crvae.evaluation.finite import finite
from pc_crvae.evaluation.images.observations import IMAGES_AT_ONCE, ImageModel, observed_parts
from pc_crvae.latents.posteriors import DiagonalGaussian
from pc_crvae.latents.statistics import ActiveUnits, MutualInformation, mutual_information
from pc_crvae.models.images.nvae.pretrained import PretrainedNVAE
from pc_crvae.models.vae import encode_parts


def active_units_of(model: ImageModel, pixels: Tensor) -> ActiveUnits:
    """The active units of ``pixels`` (n, C, H, W), as the model explains them.

    Raises:
        UserError: posterior means that are not finite.
    """
    units = ActiveUnits()
    for part in torch.split(pixels, IMAGES_AT_ONCE):
        units.add(finite(model.encode(part), "posterior means"))
    return units


def information_of(
    model: ImageModel, held_out: ImageSet, seed: int, notes: list[str]
) -> MutualInformation | None:
    """Estimate the mutual information of all images of the split and their latents.

    A million pairs of images take seconds.

    Args:
        model: a model that has a prior.
        held_out: the split.
        seed: the seed of its binarisation and of the latents.
        notes: a list; what cannot be given, and why, is added to it.

    Returns:
        Of a hierarchy that of its top group alone; None behind flows.
    """
    if isinstance(model, PretrainedNVAE):
        if model.config.flows:
            notes.append(
                "no mutual information, also of the top group: behind a flow the density of every "
                "image's latent under every other image's posterior takes an inverse of its own"
            )
            return None
        notes.append(
            "no mutual information of all groups: the aggregate of hierarchical posteriors would "
            "take a pass along every image's path for every other image; that of the top group "
            "alone, whose posterior depends on no path, is a lower bound of it"
        )

    def moments(pixels: Tensor) -> dict[str, Tensor]:
        posterior = model.posterior(pixels).top()
        assert isinstance(posterior, DiagonalGaussian)
        return {"mean": posterior.mean, "log_variance": posterior.log_variance}

    observed = observed_parts(model, held_out, len(held_out), seed)
    found = encode_parts(model, (part.pixels for part in observed), moments)
    posteriors = DiagonalGaussian(found["mean"], found["log_variance"])
    prior = DiagonalGaussian.standard(posteriors.mean.shape[1], like=posteriors.mean.double())
    return mutual_information(posteriors, prior, seed=seed)
