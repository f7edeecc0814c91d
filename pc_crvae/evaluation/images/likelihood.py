"""How well a model of images explains held-out ones, and when its nats mean less than they say."""

from collections.abc import Callable

from torch import Tensor

from pc_crvae.config.images import BernoulliLikelihoodConfig, GaussianLikelihoodConfig
from pc_crvae.evaluation.finite import finite
from pc_crvae.evaluation.images.observations import ImageModel
from pc_crvae.evaluation.images.protocol import ESTIMATED_AT_ONCE, ImageProtocol
from pc_crvae.evaluation.images.report import LikelihoodFigures
from pc_crvae.evaluation.metrics.likelihood import (
    DECODED_AT_ONCE,
    NLL,
    Estimate,
    importance_sampled_nll,
    rate_and_distortion,
    sums_of_groups,
)

_NUMBERS_AT_ONCE = 2**24  # in latents decoded at once, of which an NVAE has 10^5 an image
_FEW_SAMPLES = 10  # effective ones, in the median: fewer do not bear an NLL


def likelihood_figures(
    model: ImageModel,
    pixels: Tensor,
    protocol: ImageProtocol,
    notes: list[str],
    advance: Callable[[], None],
) -> LikelihoodFigures:
    """Estimate the NLL, the ELBO and its halves, and the KL by dimension and group.

    Args:
        model: a model that has a prior.
        pixels: (n, C, H, W), as the model explains them.
        protocol: the samples and the seed.
        notes: a list; what the figures do not show is added to it.
        advance: called after each `ESTIMATED_AT_ONCE` images.

    Raises:
        UserError: figures that are not finite.
    """
    dimensions = sum(model.prior().group_sizes)
    by_item, sizes = importance_sampled_nll(
        model,
        pixels,
        samples=protocol.samples,
        seed=protocol.seed,
        items_at_once=ESTIMATED_AT_ONCE,
        decoded_at_once=min(DECODED_AT_ONCE, max(1, _NUMBERS_AT_ONCE // dimensions)),
        advance=advance,
    )
    finite(by_item, "likelihood")
    rate, distortion, kl_per_dimension = rate_and_distortion(
        model, pixels, samples=protocol.elbo_samples, seed=protocol.seed
    )
    elbo = finite(-distortion - rate, "ELBO")
    nll = NLL.of_items(by_item, sizes, protocol.samples, pixels[0].numel())
    why_no_bits = _why_no_bits(model, pixels)
    if why_no_bits:
        nll = nll.model_copy(update={"bits_per_dimension": None})
        notes.append(why_no_bits)
    effective = nll.effective_sample_size.median
    if effective < _FEW_SAMPLES:
        notes.append(
            f"the NLL's effective samples are {effective:.1f} of {protocol.samples} in the median, "
            f"fewer than {_FEW_SAMPLES}: the NLL is too high by an unknown amount, take more"
        )
    return LikelihoodFigures(
        nll=nll,
        elbo=Estimate.of(elbo),
        rate=Estimate.of(rate),
        distortion=Estimate.of(distortion),
        kl_per_dimension=tuple(kl_per_dimension.tolist()),
        kl_per_group=tuple(sums_of_groups(model, kl_per_dimension)),
    )


def _why_no_bits(model: ImageModel, pixels: Tensor) -> str:
    likelihood = model.architecture.likelihood
    if isinstance(likelihood, GaussianLikelihoodConfig):
        return (
            "no bits per dimension: a Gaussian gives densities of continuous values in [0, 1], not "
            "probabilities of levels"
        )
    if isinstance(likelihood, BernoulliLikelihoodConfig) and not _is_binary(pixels):
        return (
            "the images are grey and the model takes them for pixels of 0 or 1 without drawing "
            "them: its nats belong to no likelihood, and compare with none"
        )
    return ""


def _is_binary(pixels: Tensor) -> bool:
    return bool(((pixels == 0) | (pixels == 1)).all())
