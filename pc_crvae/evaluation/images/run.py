"""The whole evaluation of a model of images, and what its report says of its own numbers.

All of it is of held-out images, in nats an image. Nothing is fitted but the classifiers, on
training images.
"""

from collections.abc import Callable
from dataclasses import asdict

import torch

from pc_crvae.config.images import is_binarized
from pc_crvae.data.images import ImageSet
from pc_crvae.evaluation.images import observations
from pc_crvae.evaluation.images.classifiers import CLASSIFIERS, classify
from pc_crvae.evaluation.images.consistency import consistency_kl
from pc_crvae.evaluation.images.latents import active_units_of, information_of
from pc_crvae.evaluation.images.likelihood import likelihood_figures
from pc_crvae.evaluation.images.protocol import ImageProtocol
from pc_crvae.evaluation.images.report import DescribedProtocol, ImageReport, LikelihoodFigures
from pc_crvae.evaluation.reports import DataCut, in_words, library_versions
from pc_crvae.latents.statistics import ACTIVE_VARIANCE
from pc_crvae.models.images.build import has_levels
from pc_crvae.models.images.nvae.pretrained import PretrainedNVAE
from pc_crvae.transforms.images import ImageTransform

NO_PRIOR = (
    "a plain auto-encoder has no prior and its codes no density: no likelihood, KL or information"
)


def evaluate_images(
    model: observations.ImageModel,
    train: ImageSet,
    held_out: ImageSet,
    protocol: ImageProtocol,
    transform: ImageTransform,
    *,
    transform_from: str = "given",
    advance: Callable[[], None] = lambda: None,
) -> tuple[ImageReport, observations.Observed]:
    """Evaluate a model on held-out images.

    Args:
        model: a model of such images; of a plain auto-encoder only the latents are evaluated.
        train: what classifiers are fitted on, where both have labels of the same classes.
        held_out: the items that everything is measured on.
        protocol: the rest.
        transform: t, for the consistency KL.
        transform_from: the origin of the transform, in words.
        advance: called ``protocol.steps(held_out)`` times for a model with a prior.

    Returns:
        The report, and the images.

    Raises:
        UserError: fewer images than asked for, or a model whose figures are not finite.
    """
    observed = observations.observe(model, held_out, protocol)
    notes: list[str] = []
    figures, information, consistency = LikelihoodFigures(), None, None
    if observations.has_density(model):
        figures = likelihood_figures(model, observed.pixels, protocol, notes, advance)
        information = information_of(model, held_out, protocol.seed, notes)
        consistency = consistency_kl(model, observed, transform, protocol.seed)
    else:
        notes.append(NO_PRIOR)
    units = active_units_of(model, observed.pixels)
    is_hierarchy = isinstance(model, PretrainedNVAE)
    classifiers = classify(model, train, held_out, protocol, notes)
    report = ImageReport(
        **dict(figures),
        mutual_information=None if is_hierarchy else information,
        mutual_information_top_group=information if is_hierarchy else None,
        consistency_kl=consistency,
        active_units=units.count(),
        dimensions=units.dimensions,
        classifiers=classifiers,
        notes=tuple(notes),
        protocol=_describe(
            model, protocol, held_out, len(observed.pixels), transform, transform_from
        ),
        data={"train": DataCut.of(train), held_out.split: DataCut.of(held_out)},
        versions=library_versions(),
    )
    return report, observed


def _describe(
    model: observations.ImageModel,
    protocol: ImageProtocol,
    held_out: ImageSet,
    count: int,
    transform: ImageTransform,
    transform_from: str,
) -> DescribedProtocol:
    likelihood = model.architecture.likelihood
    words = in_words("images")
    words["consistency_kl"] += _of_transformed(model)
    return DescribedProtocol(
        **asdict(protocol),
        evaluated_items=count,
        device=_device(model),
        observations="pixels drawn once with the grey levels as probabilities, by the seed"
        if is_binarized(likelihood)
        else "images as they are, in [0, 1]",
        likelihood=likelihood.model_dump(mode="json"),
        active_above_variance=ACTIVE_VARIANCE,
        transform=repr(transform),
        classifiers={one.name: one.model_dump(mode="json") for one in CLASSIFIERS},
        data=held_out.name,
        split=held_out.split,
        transform_from=transform_from,
        **words,
    )


def _of_transformed(model: observations.ImageModel) -> str:
    if is_binarized(model.architecture.likelihood):
        return (
            "; the pixels of x and of t(x) are drawn apart, and floor is the same KL where t "
            "changes nothing"
        )
    if has_levels(model.architecture.likelihood):
        return "; t(x) rounded to the 256 levels that the likelihood is of"
    return ""


def _device(model: observations.ImageModel) -> str:
    if model.device.type != "cuda":
        return model.device.type
    return f"cuda ({torch.cuda.get_device_name(model.device)})"
