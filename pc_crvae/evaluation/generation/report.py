"""The report of generation: reconstructions, samples of the prior, and the use of latents."""

from dataclasses import dataclass

from pydantic import JsonValue

from pc_crvae.evaluation.generation.protocol import QualityProtocol
from pc_crvae.evaluation.metrics.generation import GenerationMetrics
from pc_crvae.evaluation.metrics.reconstruction import ReconstructionMetrics
from pc_crvae.evaluation.reports import STRICT, Checkpoint, ModelReport, Part, TrainAndTest
from pc_crvae.latents.statistics import MutualInformation
from pc_crvae.utils.templates import filled


class LatentStatistics(Part):
    """How much of z the posteriors of a split use, and how much of the split z tells.

    Attributes:
        items: posteriors.
        dimensions: the dimensions of z.
        active_units: dimensions whose mean varies.
        active_above_variance: the variance above which a unit counts as active.
        note: why there is none of the following, for codes without a density.
        kl: the KL to the prior, a mean over items, in nats.
        kl_per_dimension: the same by dimension.
        mutual_information: the mutual information of items and latents.
    """

    items: int
    dimensions: int
    active_units: int
    active_above_variance: float
    note: str | None = None
    kl: float | None = None
    kl_per_dimension: tuple[float, ...] | None = None
    mutual_information: MutualInformation | None = None


class Generated(Part):
    """How like test shapes are samples of the prior, and training shapes.

    Attributes:
        note: why there is neither, for a model without a prior.
        samples: the samples of the prior.
        training_shapes: what a perfect model would reach, where it was asked for.
    """

    note: str | None = None
    samples: GenerationMetrics | None = None
    training_shapes: GenerationMetrics | None = None


@dataclass(frozen=True, kw_only=True)
class DescribedProtocol(QualityProtocol):
    """All that the protocol says, and in words what it means."""

    __pydantic_config__ = STRICT

    decoded_points: int
    reconstruction: str
    normalization: str
    distances: str
    latents: str


class GenerationReport(ModelReport):
    """What a model of points decodes, and how it uses its latents.

    Attributes:
        reconstruction: what the posterior means of test shapes decode to, measured.
        latents: the latents of all test shapes.
        generation: what draws of the prior decode to, measured.
        checkpoint: the state of the model.
        trained_on: the model's record of its training data.
    """

    reconstruction: ReconstructionMetrics
    latents: LatentStatistics
    generation: Generated
    protocol: DescribedProtocol
    data: TrainAndTest
    versions: dict[str, str]
    checkpoint: Checkpoint | None = None
    trained_on: dict[str, JsonValue] | None = None


def format_quality(report: GenerationReport) -> str:
    """Lay a report out as plain text."""
    return filled(__file__, "report.txt", report=report)
