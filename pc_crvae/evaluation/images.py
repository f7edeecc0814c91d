"""How good a model of images is: likelihood, use of latents, consistency, and what a class costs.

All of it is of held-out images, in nats an image. Nothing is fitted but the classifiers, on
training images.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pc_crvae.binarization import binarize
from pc_crvae.config.images import BernoulliLikelihoodConfig, GaussianLikelihoodConfig
from pc_crvae.data.images import ImageSet
from pc_crvae.errors import UserError
from pc_crvae.evaluation.classes import set_to_take_instead
from pc_crvae.evaluation.classifiers import fit_classifier
from pc_crvae.evaluation.likelihood import (
    DECODED_AT_ONCE,
    importance_sampled_nll,
    mean_and_stderr,
    rate_and_distortion,
)
from pc_crvae.evaluation.linear_probe import accuracy
from pc_crvae.evaluation.protocol import (
    Classifier,
    LinearSVM,
    LogisticRegression,
    NearestNeighbors,
)
from pc_crvae.evaluation.report import describe_data
from pc_crvae.evaluation.versions import library_versions
from pc_crvae.latent_statistics import ActiveUnits, mutual_information
from pc_crvae.models.images.build import has_levels, onto_levels
from pc_crvae.models.images.nvae.pretrained import PretrainedNVAE
from pc_crvae.models.images.vae import ImageVAE
from pc_crvae.models.vae import evaluating
from pc_crvae.posteriors import DiagonalGaussian
from pc_crvae.randomness import Draws, keyed_generator, keyed_numpy_generator
from pc_crvae.transforms.images import ComposeImages, ImageTransform

ImageModel = ImageVAE | PretrainedNVAE

_AT_ONCE = 100  # images transformed, binarised, encoded at once
_ESTIMATED_AT_ONCE = 20  # images whose likelihood is estimated between two ticks of progress
_NUMBERS_AT_ONCE = 2**24  # in latents decoded at once, of which an NVAE has 10^5 an image
_ACTIVE_VARIANCE = 0.01
_FEW_SAMPLES = 10  # effective ones, in the median: fewer do not bear an NLL
_FOLDS = 3  # over which the classifiers' parameters are chosen
_C_GRID = (1e-3, 1e-2, 1e-1, 1.0)
_NEIGHBOURS = (1, 5, 20)
CLASSIFIERS: dict[str, Classifier] = {
    "linear_svm": LinearSVM(c=_C_GRID),
    "logistic_regression": LogisticRegression(name="logistic_regression", c=_C_GRID),
    "knn": NearestNeighbors(name="knn", k=_NEIGHBOURS),
}

NO_PRIOR = (
    "a plain auto-encoder has no prior and its codes no density: no likelihood, KL or information"
)


@dataclass(frozen=True)
class ImageProtocol:
    """What decides the numbers, apart from the model, the data and the transform.

    Attributes:
        samples: S, latents an image, of the importance-sampled NLL.
        items: images of the split that are evaluated; None: all. Mutual information, whose range
            ends at the logarithm of their number, and classifiers always take all of them.
        train_items: at most so many training images that the classifiers are fitted on.
        elbo_samples: latents an image that rate and distortion are averaged over.
        seed: fixes which images, their binarisation, the transforms and all latents.

    Raises:
        UserError: a value out of its range.
    """

    samples: int = 500
    items: int | None = None
    train_items: int = 10_000
    elbo_samples: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise UserError(f"--samples must be at least 1, not {self.samples}")
        if self.items is not None and self.items < 2:
            raise UserError(f"--items must be at least 2, for a standard error, not {self.items}")
        if self.train_items < 2:
            raise UserError(f"--train-items must be at least 2, not {self.train_items}")
        if not 0 <= self.seed < 2**32:  # what scikit-learn takes
            raise UserError(f"--seed must be from 0 to {2**32 - 1}, not {self.seed}")

    def count(self, held_out: ImageSet) -> int:
        """How many images of ``held_out`` are evaluated.

        Raises:
            UserError: fewer are there than asked for, or fewer than two.
        """
        wanted = len(held_out) if self.items is None else self.items
        if len(held_out) < max(wanted, 2):
            raise UserError(
                f"the {held_out.split} split of {held_out.name} has {len(held_out)} images, fewer "
                f"than the {max(wanted, 2)} of --items"
            )
        return wanted

    def steps(self, held_out: ImageSet) -> int:
        """Times that progress is told."""
        return -(-self.count(held_out) // _ESTIMATED_AT_ONCE)


@dataclass(frozen=True, eq=False)
class Observed:
    """Held-out images as they are, and as the model explains them.

    Attributes:
        grey: (n, C, H, W) float32 in [0, 1].
        pixels: the same, or drawn black and white where the model was trained on such.
    """

    grey: Tensor
    pixels: Tensor


def evaluate_images(
    model: ImageModel,
    train: ImageSet,
    held_out: ImageSet,
    protocol: ImageProtocol,
    transform: ImageTransform,
    *,
    advance: Callable[[], None] = lambda: None,
) -> tuple[dict[str, Any], Observed]:
    """Evaluate a model on held-out images.

    Args:
        model: of images of this shape; a plain auto-encoder has its latents evaluated only.
        train: what classifiers are fitted on, where both have labels of the same classes.
        held_out: what everything is measured on.
        protocol: the rest.
        transform: t, for the consistency KL.
        advance: called ``protocol.steps(held_out)`` times for a model with a prior.

    Returns:
        A report of plain numbers, strings and lists, ready for JSON: ``nll``, ``elbo``, ``rate``,
        ``distortion``, ``kl_per_dimension``, ``kl_per_group``, ``mutual_information`` and
        ``consistency_kl`` (None where the model has none, a sentence in ``notes`` saying why),
        ``mutual_information_top_group`` (of a hierarchy, which has no ``mutual_information``; None
        of any other model),
        ``active_units``, ``dimensions``, ``classifiers``, ``notes``, ``protocol``, ``data`` and
        ``versions``; and the images.

    Raises:
        UserError: fewer images than asked for, or a model whose figures are not finite.
    """
    observed = observe(model, held_out, protocol)
    notes: list[str] = []
    figures = dict.fromkeys(
        (
            "nll",
            "elbo",
            "rate",
            "distortion",
            "kl_per_dimension",
            "kl_per_group",
            "mutual_information",
            "mutual_information_top_group",
            "consistency_kl",
        )
    )
    if has_density(model):
        figures |= _likelihood(model, observed.pixels, protocol, notes, advance)
        figures |= _information(model, held_out, protocol.seed, notes)
        figures["consistency_kl"] = consistency_kl(model, observed, transform, protocol.seed)
    else:
        notes.append(NO_PRIOR)
    units = _active_units(model, observed.pixels)
    report = figures | {
        "active_units": units.count(_ACTIVE_VARIANCE),
        "dimensions": units.dimensions,
        "classifiers": _classify(model, train, held_out, protocol, notes),
        "notes": notes,
        "protocol": _describe(model, protocol, len(observed.pixels), transform)
        | {"data": held_out.name, "split": held_out.split},
        "data": {"train": describe_data(train), held_out.split: describe_data(held_out)},
        "versions": library_versions(),
    }
    return report, observed


def has_density(model: ImageModel) -> bool:
    """Whether it has a posterior and a prior to take a KL between."""
    return not isinstance(model, ImageVAE) or model.has_prior


def is_binarized(model: ImageModel) -> bool:
    """Whether the model was trained on pixels drawn from grey levels."""
    likelihood = model.architecture.likelihood
    return (
        isinstance(likelihood, BernoulliLikelihoodConfig) and likelihood.binarization == "dynamic"
    )


def observe(model: ImageModel, held_out: ImageSet, protocol: ImageProtocol) -> Observed:
    """The images that the protocol picks, binarised by its seed where the model is of such."""
    parts = list(_observed_parts(model, held_out, protocol.count(held_out), protocol.seed))
    grey = torch.cat([part.grey for part in parts])
    if not is_binarized(model):
        return Observed(grey, grey)
    return Observed(grey, torch.cat([part.pixels for part in parts]))


def consistency_kl(
    model: ImageModel, observed: Observed, transform: ImageTransform, seed: int
) -> dict[str, Any]:
    """KL(q(z|t(x)) || q(z|x)), one transform and one path an image.

    Where pixels are drawn, those of x and of t(x) are drawn apart, and the posteriors differ even
    where t changes nothing: by the ``floor``, which the mean is to be read against.

    Args:
        model: with a posterior that has a density.
        observed: x.
        transform: t, of the grey images; its results are binarised where x is, and rounded to the
            256 levels where the likelihood is of these.
        seed: of transforms, pixels and paths.

    Returns:
        ``mean``, ``stderr``, ``per_group``, ``floor`` (its ``mean`` and ``stderr``, 0 where
        nothing is drawn) and ``transform``.

    Raises:
        UserError: it is not finite.
    """
    onto = onto_levels(transform, model.architecture.likelihood)
    by_item, per_group = _kl_to_transformed(model, observed, onto, seed)
    floor = torch.zeros_like(by_item)
    if is_binarized(model):
        floor, _ = _kl_to_transformed(model, observed, ComposeImages([]), seed)
    return {
        **mean_and_stderr(by_item),
        "per_group": per_group,
        "floor": mean_and_stderr(floor),
        "transform": repr(transform),
    }


def _kl_to_transformed(
    model: ImageModel, observed: Observed, transform: ImageTransform, seed: int
) -> tuple[Tensor, list[float]]:
    """The KL of each image, (n,) nats, and the mean of each group."""
    rows: list[Tensor] = []
    per_dimension = torch.zeros((), dtype=torch.float64)  # summed: (n, D) of a hierarchy is large
    sizes: tuple[int, ...] = ()
    with evaluating(model):
        for start in range(0, len(observed.grey), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            grey = observed.grey[part]
            draws = Draws(keyed_generator("evaluated transform", seed, start), len(grey))
            changed = transform(grey, draws)
            if is_binarized(model):
                changed = binarize(changed, draws)
            original = model.posterior(observed.pixels[part].to(model.device))
            transformed = model.posterior(changed.to(model.device))
            on_device = keyed_generator("evaluated path", seed, start, device=model.device)
            path = transformed.sample(Draws(on_device, len(grey)))
            divergence = transformed.kl(original, path).double().cpu()
            rows.append(divergence.sum(dim=1))
            per_dimension = per_dimension + divergence.sum(dim=0)
            sizes = original.group_sizes
    by_item = torch.cat(rows)
    _refuse_non_finite("consistency KL", by_item)
    by_group = torch.split(per_dimension / len(by_item), list(sizes))
    return by_item, [float(part.sum()) for part in by_group]


def format_images(report: dict[str, Any]) -> str:
    """Lay a report out as plain text."""
    protocol = report["protocol"]
    count = protocol["evaluated_items"]
    lines = [f"{count:,} images of the {protocol['split']} split of {protocol['data']}"]
    if report["nll"] is not None:
        nll, sizes = report["nll"], report["nll"]["effective_sample_size"]
        per_dimension = nll["bits_per_dimension"]
        of_each = "" if per_dimension is None else f", {per_dimension:.4f} bits a dimension"
        lines.append(
            f"  NLL                 {_with_error(nll)} nats{of_each} (S = {nll['samples']}, "
            f"effective {sizes['median']:.0f} in the median, {sizes['min']:.0f} at least)"
        )
        for name in ("elbo", "rate", "distortion"):
            title = name.upper() if name == "elbo" else name
            lines.append(f"  {title:20}{_with_error(report[name])} nats")
        if len(report["kl_per_group"]) > 1:
            shown = ", ".join(f"{value:.2f}" for value in report["kl_per_group"])
            lines.append(f"  rate by group       {shown}")
        consistency = report["consistency_kl"]
        floor = consistency["floor"]
        lines.append(
            f"  consistency KL      {_with_error(consistency)} nats"
            + (f" ({_with_error(floor)} of images left as they are)" if floor["mean"] else "")
        )
    lines.append(f"  active units        {report['active_units']} of {report['dimensions']}")
    for title, name in (
        ("mutual information", "mutual_information"),
        ("MI, top group alone", "mutual_information_top_group"),
    ):
        if report[name] is not None:
            information = report[name]
            lines.append(
                f"  {title:20}{information['estimate']:.3f} ± {information['stderr']:.3f} "
                f"nats, log N = {information['log_n']:.3f}"
                + (" (saturated: do not rank by it)" if information["saturated"] else "")
            )
    for name, found in (report["classifiers"] or {}).items():
        lines.append(
            f"  {name.replace('_', ' '):20}{found['accuracy']:.2%} of {found['test_items']:,}"
            + ("" if found["converged"] else " (not converged)")
        )
    return "\n".join(lines + [f"note: {note}" for note in report["notes"]])


def _likelihood(
    model: ImageModel,
    pixels: Tensor,
    protocol: ImageProtocol,
    notes: list[str],
    advance: Callable[[], None],
) -> dict[str, Any]:
    dimensions = sum(model.prior().group_sizes)
    estimated = importance_sampled_nll(
        model,
        pixels,
        samples=protocol.samples,
        seed=protocol.seed,
        items_at_once=_ESTIMATED_AT_ONCE,
        decoded_at_once=min(DECODED_AT_ONCE, max(1, _NUMBERS_AT_ONCE // dimensions)),
        advance=advance,
    )
    _refuse_non_finite("likelihood", estimated.nll)
    halves = rate_and_distortion(
        model, pixels, samples=protocol.elbo_samples, seed=protocol.seed, items_at_once=_AT_ONCE
    )
    _refuse_non_finite("ELBO", halves.elbo)
    nll = estimated.summary()
    likelihood = model.architecture.likelihood
    if isinstance(likelihood, GaussianLikelihoodConfig):
        nll["bits_per_dimension"] = None
        notes.append(
            "no bits a dimension: a Gaussian gives densities of continuous values in [0, 1], not "
            "probabilities of levels"
        )
    elif isinstance(likelihood, BernoulliLikelihoodConfig) and not _is_binary(pixels):
        nll["bits_per_dimension"] = None
        notes.append(
            "the images are grey and the model takes them for pixels of 0 or 1 without drawing "
            "them: its nats are of no likelihood, and compare with none"
        )
    effective = nll["effective_sample_size"]["median"]
    if effective < _FEW_SAMPLES:
        notes.append(
            f"the NLL's effective samples are {effective:.1f} of {protocol.samples} in the median, "
            f"fewer than {_FEW_SAMPLES}: the NLL is too high by an unknown amount, raise --samples"
        )
    return {"nll": nll, **halves.summary()}


def _active_units(model: ImageModel, pixels: Tensor) -> ActiveUnits:
    units = ActiveUnits()
    for part in torch.split(pixels, _AT_ONCE):
        means = model.encode(part)
        _refuse_non_finite("posterior means", means)
        units.add(means)
    return units


def _information(
    model: ImageModel, held_out: ImageSet, seed: int, notes: list[str]
) -> dict[str, Any]:
    """Of all images of the split: a million pairs of images take seconds."""
    name = "mutual_information"
    if isinstance(model, PretrainedNVAE):
        if model.config.flows:
            notes.append(
                "no mutual information, also of the top group: behind a flow the density of every "
                "image's latent under every other image's posterior takes an inverse of its own"
            )
            return {}
        notes.append(
            "no mutual information of all groups: the aggregate of hierarchical posteriors would "
            "take a pass along every image's path for every other image; that of the top group "
            "alone, whose posterior depends on no path, is a lower bound of it"
        )
        name = "mutual_information_top_group"
    means, log_variances = [], []
    with evaluating(model):
        for part in _observed_parts(model, held_out, len(held_out), seed):
            pixels = part.pixels.to(model.device)
            posterior = (
                model.posterior(pixels).top()
                if isinstance(model, PretrainedNVAE)
                else model.posterior(pixels)
            )
            assert isinstance(posterior, DiagonalGaussian)
            means.append(posterior.mean.cpu())
            log_variances.append(posterior.log_variance.cpu())
    posteriors = DiagonalGaussian(torch.cat(means), torch.cat(log_variances))
    prior = DiagonalGaussian.standard(posteriors.mean.shape[1], like=posteriors.mean.double())
    return {name: asdict(mutual_information(posteriors, prior, seed=seed))}


def _classify(
    model: ImageModel,
    train: ImageSet,
    held_out: ImageSet,
    protocol: ImageProtocol,
    notes: list[str],
) -> dict[str, Any] | None:
    """Classifiers on the posterior means of grey images; None where labels do not allow any."""
    if train.labels is None or held_out.labels is None:
        notes.append(f"no classifiers: {held_out.name} has no labels")
        return None
    known = np.unique(train.labels)
    if train.classes != held_out.classes or not np.isin(held_out.labels, known).all():
        notes.append(
            f"no classifiers: images of the {held_out.split} split of {held_out.name} are of "
            f"classes that its training split has none of{set_to_take_instead(held_out.name)}"
        )
        return None
    if len(known) < 2:
        notes.append(f"no classifiers: all images of {train.name} are of one class")
        return None
    order = keyed_numpy_generator("classifiers' images", protocol.seed).permutation(len(train))
    rows = order[: protocol.train_items]
    labels = train.labels[rows]
    too_few = _too_few_to_choose_by(labels, train.classes)
    if too_few:
        notes.append(f"no classifiers: {too_few}, with more --train-items there may be enough")
        return None
    features = _features(model, train, rows)
    tested = _features(model, held_out, np.arange(len(held_out)))
    found = {}
    for name, classifier in CLASSIFIERS.items():
        fitted = fit_classifier(classifier, features, labels, folds=_FOLDS, seed=protocol.seed)
        found[name] = {
            "accuracy": accuracy(held_out.labels, fitted.predict(tested)),
            "chosen": fitted.chosen,
            "converged": fitted.converged,
            "train_items": len(rows),
            "test_items": len(held_out),
        }
    return found


def _too_few_to_choose_by(labels: NDArray[np.int64], classes: tuple[str, ...]) -> str:
    """What the folds of these images would lack, if anything."""
    drawn, counts = np.unique(labels, return_counts=True)
    if counts.min() < _FOLDS:
        rarest = classes[drawn[counts.argmin()]]
        return (
            f"of the {len(labels)} training images {counts.min()} show {rarest}, fewer than the "
            f"{_FOLDS} folds that classifiers are chosen by"
        )
    fewest = len(labels) - -(-len(labels) // _FOLDS)
    if fewest < max(_NEIGHBOURS):
        return (
            f"{len(labels)} training images leave {fewest} to fit on in a fold, fewer than the "
            f"{max(_NEIGHBOURS)} neighbours that are tried"
        )
    return ""


def _features(
    model: ImageModel, images: ImageSet, rows: NDArray[np.int64]
) -> NDArray[np.floating[Any]]:
    parts = [
        model.encode(torch.from_numpy(images.batch(rows[start : start + _AT_ONCE]))).numpy()
        for start in range(0, len(rows), _AT_ONCE)
    ]
    return np.concatenate(parts)


def _observed_parts(
    model: ImageModel, held_out: ImageSet, count: int, seed: int
) -> Iterator[Observed]:
    """The first ``count`` images in the seed's order, some at a time."""
    order = keyed_numpy_generator("evaluated images", seed).permutation(len(held_out))
    for number, start in enumerate(range(0, count, _AT_ONCE)):
        grey = torch.from_numpy(held_out.batch(order[start : min(start + _AT_ONCE, count)]))
        draws = Draws(keyed_generator("evaluated pixels", seed, number), len(grey))
        yield Observed(grey, binarize(grey, draws) if is_binarized(model) else grey)


def _device(model: ImageModel) -> str:
    if model.device.type != "cuda":
        return model.device.type
    return f"cuda ({torch.cuda.get_device_name(model.device)})"


def _is_binary(pixels: Tensor) -> bool:
    return bool(((pixels == 0) | (pixels == 1)).all())


def _refuse_non_finite(what: str, values: Tensor) -> None:
    if not torch.isfinite(values).all():
        raise UserError(
            f"the model's {what} hold NaN or infinite values: check its weights, for example for a "
            "training that diverged"
        )


def _with_error(figure: dict[str, Any]) -> str:
    return f"{figure['mean']:.3f} ± {figure['stderr']:.3f}"


def _of_transformed(model: ImageModel) -> str:
    if is_binarized(model):
        return (
            "; the pixels of x and of t(x) are drawn apart, and floor is the same KL where t "
            "changes nothing"
        )
    if has_levels(model.architecture.likelihood):
        return "; t(x) rounded to the 256 levels that the likelihood is of"
    return ""


def _describe(
    model: ImageModel, protocol: ImageProtocol, count: int, transform: ImageTransform
) -> dict[str, Any]:
    likelihood = model.architecture.likelihood
    return asdict(protocol) | {
        "evaluated_items": count,
        "device": _device(model),
        "observations": "pixels drawn once with the grey levels as probabilities, by the seed"
        if is_binarized(model)
        else "images as they are, in [0, 1]",
        "likelihood": likelihood.model_dump(mode="json"),
        "nll": "importance sampling with the posterior as the proposal; nats an image",
        "elbo": "beta = 1, whatever the training's objective; a KL along each of elbo_samples "
        "paths",
        "active_above_variance": _ACTIVE_VARIANCE,
        "mutual_information": "of all images of the split, however many are evaluated, and their "
        "latents, one sample each",
        "consistency_kl": "KL(q(z|t(x)) || q(z|x)) of the evaluated images, one transform and one "
        "path each" + _of_transformed(model),
        "transform": repr(transform),
        "classifiers": {
            name: classifier.model_dump(mode="json") for name, classifier in CLASSIFIERS.items()
        },
        "classifier_features": "posterior means of grey images, standardised; what there is to "
        "choose is chosen by "
        f"{_FOLDS} stratified folds of the training images",
    }
