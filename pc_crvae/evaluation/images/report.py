"""The report of an evaluation on images."""

from dataclasses import dataclass

from pydantic import JsonValue

from pc_crvae.evaluation.images.protocol import ImageProtocol
from pc_crvae.evaluation.metrics.likelihood import NLL, Estimate
from pc_crvae.evaluation.reports import STRICT, Checkpoint, DataCut, ModelReport, Part
from pc_crvae.latents.statistics import MutualInformation


class ConsistencyKL(Estimate):
    """KL(q(z|t(x)) || q(z|x)) over images, in nats.

    Attributes:
        per_group: the mean for each group of latents.
        floor: the same KL where t changes nothing, 0 where no pixels are drawn.
        transform: t.
    """

    per_group: tuple[float, ...]
    floor: Estimate
    transform: str


class ClassifierScore(Part):
    """How often a classifier of latents is right on held-out images.

    Attributes:
        accuracy: the accuracy, in [0, 1].
        chosen: the C or k that was chosen.
        converged: whether every fit did.
    """

    accuracy: float
    chosen: int | float
    converged: bool
    train_items: int
    test_items: int


@dataclass(frozen=True, kw_only=True)
class DescribedProtocol(ImageProtocol):
    """All that the protocol says, and in words what it means.

    Attributes:
        likelihood: the likelihood of the model, as its configuration has it.
        classifiers: the settings of the classifiers, by name.
        transform_from: the origin of the transform.
    """

    __pydantic_config__ = STRICT

    evaluated_items: int
    device: str
    observations: str
    likelihood: dict[str, JsonValue]
    nll: str
    elbo: str
    active_above_variance: float
    mutual_information: str
    consistency_kl: str
    transform: str
    classifiers: dict[str, dict[str, JsonValue]]
    classifier_features: str
    data: str
    split: str
    transform_from: str


class LikelihoodFigures(Part):
    """How well images are explained; all None of a plain auto-encoder.

    Attributes:
        rate: KL(q(z|x) || p(z)).
        distortion: -E log p(x|z).
        kl_per_dimension: means over images, in nats.
        kl_per_group: sums of these.
    """

    nll: NLL | None = None
    elbo: Estimate | None = None
    rate: Estimate | None = None
    distortion: Estimate | None = None
    kl_per_dimension: tuple[float, ...] | None = None
    kl_per_group: tuple[float, ...] | None = None


class ImageReport(LikelihoodFigures, ModelReport):
    """How well a model of images explains held-out ones, and what its latents hold.

    What a model has not is None, and a sentence of ``notes`` says why.

    Attributes:
        mutual_information_top_group: that of the top group of a hierarchy, which has no
            ``mutual_information``.
        active_units: the number of the ``dimensions`` that are active.
        classifiers: the classifiers by name.
        data: the split ``train`` and the one that was evaluated, by name.
        checkpoint: the state of the model.
        trained_on: the model's record of its training data.
    """

    mutual_information: MutualInformation | None
    mutual_information_top_group: MutualInformation | None
    consistency_kl: ConsistencyKL | None
    active_units: int
    dimensions: int
    classifiers: dict[str, ClassifierScore] | None
    notes: tuple[str, ...]
    protocol: DescribedProtocol
    data: dict[str, DataCut]
    versions: dict[str, str]
    checkpoint: Checkpoint | None = None
    trained_on: dict[str, JsonValue] | None = None


def format_images(report: ImageReport) -> str:
    """Lay a report out as plain text."""
    protocol = report.protocol
    return "\n".join(
        [
            f"{protocol.evaluated_items:,} images of the {protocol.split} split of {protocol.data}",
            *_likelihood(report),
            f"  active units        {report.active_units} of {report.dimensions}",
            *_information("mutual information", report.mutual_information),
            *_information("MI, top group alone", report.mutual_information_top_group),
            *(
                f"  {name.replace('_', ' '):20}{found.accuracy:.2%} of {found.test_items:,}"
                + ("" if found.converged else " (not converged)")
                for name, found in (report.classifiers or {}).items()
            ),
            *(f"note: {note}" for note in report.notes),
        ]
    )


def _likelihood(report: ImageReport) -> list[str]:
    nll, consistency = report.nll, report.consistency_kl
    if nll is None:
        return []
    bits, sizes = nll.bits_per_dimension, nll.effective_sample_size
    of_each = "" if bits is None else f", {bits:.4f} bits a dimension"
    lines = [
        f"  NLL                 {_with_error(nll)} nats{of_each} (S = {nll.samples}, "
        f"effective {sizes.median:.0f} in the median, {sizes.min:.0f} at least)"
    ]
    lines += [
        f"  {title:20}{_with_error(figure)} nats"
        for title, figure in (
            ("ELBO", report.elbo),
            ("rate", report.rate),
            ("distortion", report.distortion),
        )
        if figure is not None
    ]
    if report.kl_per_group is not None and len(report.kl_per_group) > 1:
        shown = ", ".join(f"{value:.2f}" for value in report.kl_per_group)
        lines.append(f"  rate by group       {shown}")
    if consistency is not None:
        floor = consistency.floor
        left = f" ({_with_error(floor)} of images left as they are)" if floor.mean else ""
        lines.append(f"  consistency KL      {_with_error(consistency)} nats{left}")
    return lines


def _information(title: str, information: MutualInformation | None) -> list[str]:
    if information is None:
        return []
    return [
        f"  {title:20}{information.estimate:.3f} ± {information.stderr:.3f} "
        f"nats, log N = {information.log_n:.3f}"
        + (" (saturated: do not rank by it)" if information.saturated else "")
    ]


def _with_error(figure: Estimate) -> str:
    return f"{figure.mean:.3f} ± {figure.stderr:.3f}"
