"""What the commands ``robustness`` and ``generation`` found of a study's runs."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pc_crvae.embedding.names import POSTERIOR_MEAN, Features
from pc_crvae.evaluation.generation.report import GenerationReport
from pc_crvae.evaluation.robustness.report import DriftRow, RobustnessReport
from pc_crvae.study.figures import Figure, has
from pc_crvae.study.schema import Measure


def robustness_figures(features: Features) -> Mapping[str, Figure[RobustnessReport]]:
    """Return the figures of a robustness report that are tabulated, all of the posterior mean.

    Args:
        features: the encoder that they are of.
    """
    encoder: dict[str, object] = {"features": features, "representation": POSTERIOR_MEAN}

    def accuracy(**which: object) -> Callable[[RobustnessReport], float | None]:
        """Read the mean over the rows of this encoder that have these values."""
        return lambda report: _mean(
            [row.accuracy_mean for row in report.rows if has(row, encoder | which)]
        )

    def drift(
        value: Callable[[DriftRow], float | None], how: str
    ) -> Callable[[RobustnessReport], float | None]:
        return lambda report: _mean(
            [value(row) for row in report.drift if (row.features, row.condition) == (features, how)]
        )

    def corruption_error(report: RobustnessReport) -> float | None:
        (found,) = (errors for errors in report.corruption_errors if has(errors, encoder))
        return found.mce_mean

    both_z = accuracy(part="rotation", fitted_on="z", condition="z")
    both_so3 = accuracy(part="rotation", fitted_on="so3", condition="so3")
    return {
        "z_z": Figure("z / z", both_z, "%", 1),
        "so3_so3": Figure("SO(3) / SO(3)", both_so3, "%", 1),
        "corrupted": Figure("corrupted", accuracy(part="corruption", fitted_on="aligned"), "%", 1),
        "mce": Figure("mCE", corruption_error, "", 2),
        "occluded": Figure("occluded", accuracy(part="occlusion", fitted_on="aligned"), "%", 1),
        "sparse": Figure("64 points", accuracy(part="points", level=64), "%", 1),
        "cosine_z": Figure("cosine under z", drift(lambda row: row.centered_cosine, "z"), "", 2),
        "cosine_so3": Figure(
            "cosine under SO(3)", drift(lambda row: row.centered_cosine, "so3"), "", 2
        ),
        "kl_z": Figure("KL under z", drift(lambda row: row.kl, "z"), "nats", 0),
    }


GENERATION_FIGURES: Mapping[str, Figure[GenerationReport]] = {
    "chamfer": Figure(
        "Chamfer x 1,000", lambda report: 1000 * report.reconstruction.chamfer_squared_sum, "", 2
    ),
    "emd": Figure("EMD", "reconstruction.emd", "", 3),
    "nearest": Figure("1-NNA of samples (CD)", "generation.samples.cd.one_nna", "%", 1),
    "active_units": Figure("active units", "latents.active_units", "", 1),
    "kl": Figure("KL to the prior", "latents.kl", "nats", 1),
    "mutual_information": Figure("MI", "latents.mutual_information.estimate", "nats", 2),
    "log_n": Figure("its bound log N", "latents.mutual_information.log_n", "nats", 2),
}


def figures_of(measure: Measure, features: Features = "trained") -> Mapping[str, Figure[Any]]:
    """The figures that are tabulated of a measure's reports; those of generation are of runs."""
    return robustness_figures(features) if measure == "robustness" else GENERATION_FIGURES


def read_measurement(path: Path, measure: Measure) -> RobustnessReport | GenerationReport:
    """Read what a measure's command wrote.

    Raises:
        UserError: it is not such a report.
    """
    return (RobustnessReport if measure == "robustness" else GenerationReport).read(path)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known and len(known) == len(values) else None
