"""The report of an evaluation on images."""

from dataclasses import dataclass

from pydantic import JsonValue

from pc_crvae.evaluation.images.protocol import ImageProtocol
from pc_crvae.evaluation.metrics.likelihood import NLL, Estimate
from pc_crvae.evaluation.reports import STRICT, Checkpoint, DataCut, ModelReport, Part
from pc_crvae.latents.statistics import MutualInformation
from pc_crvae.utils.templates import filled


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
    return filled(__file__, "report.txt", report=report)
